"""Imports by POST and by the job are listed with their progress and report."""

from pathlib import Path

from shared.clients import postgres
from shared.storage.operations import imports
from tests.integration.conftest import Serve
from tests.integration.people import as_admin

CSV = {"Content-Type": "text/csv"}


def test_imports_are_listed_with_their_reports(env: object, serve: Serve, tmp_path: Path) -> None:
    admin, products = as_admin(serve("admin")), as_admin(serve("products"))
    assert admin.get("/admin/imports").json() == {"imports": []}
    body = b"external_id,name,price\na,A,1\nb,B,free\n"
    assert products.post("/products/import?dry_run=true", content=body, headers=CSV).status_code == 200
    assert products.post("/products/import", content=body, headers=CSV).status_code == 200
    feed = tmp_path / "feed.csv"
    feed.write_bytes(b"external_id,name,price\na,A,2\nc,C,3\n")
    assert serve("import_catalog").post("/", json={"source": str(feed), "dry_run": True}).status_code == 200
    assert serve("import_catalog").post("/", json={"source": str(feed)}).status_code == 200
    feed.write_bytes(b"external_id,name,price\na,A,free\n")
    assert serve("import_catalog").post("/", json={"source": str(feed)}).status_code == 422
    listed = admin.get("/admin/imports").json()["imports"]
    assert [
        (row["kind"], row["state"], row["rows_read"], row["rows_written"], row["rows_refused"]) for row in listed
    ] == [
        ("job", "failed", 1, 0, 1),
        ("job", "succeeded", 2, 2, 0),
        ("post", "succeeded", 2, 1, 1),
    ]
    assert [row["source"] for row in listed] == [str(feed), str(feed), "POST /products/import"]
    failed = admin.get(f"/admin/imports/{listed[0]['id']}").json()["report"]
    assert failed["errors"] == [{"row": 2, "field": "price", "message": failed["errors"][0]["message"]}]
    assert "could be used" in failed["error"]
    assert admin.get("/admin/imports?limit=1").json()["imports"] == listed[:1]
    assert admin.get("/admin/imports/999").status_code == 404


def test_a_running_import_shows_its_progress_and_a_killed_one_has_failed(env: object, serve: Serve) -> None:
    admin = as_admin(serve("admin"))
    first = imports.begin("job", "https://user:word@shop.example/feed.csv?token=1")
    imports.report_progress(first, {"rows": 500, "created": 400, "updated": 50, "rejected": 50})
    shown = admin.get(f"/admin/imports/{first}").json()
    assert (shown["state"], shown["rows_read"], shown["rows_written"], shown["rows_refused"]) == (
        "running",
        500,
        450,
        50,
    )
    # the credentials of a source are nowhere
    assert shown["source"] == "https://shop.example/feed.csv?…"
    bystander = imports.begin("feed", "https://shop.example/other.csv")
    second = imports.begin("job", "/second.csv")
    latest = admin.get("/admin/imports", params={"limit": 2}).json()["imports"]
    assert [entry["id"] for entry in latest] == [second, bystander]
    assert admin.get(f"/admin/imports/{first}").json()["state"] == "failed"
    assert admin.get(f"/admin/imports/{bystander}").json()["state"] == "running"
    assert postgres.read("SELECT count(*) FROM imports WHERE state = 'running'")[0][0] == 2
