"""The job import_catalog on exports of shop systems, and on files that break off."""

import gzip
from pathlib import Path
from typing import Any

import httpx

from shared.clients import postgres
from tests.integration.conftest import Serve

WOO = (
    "ID,Type,SKU,Name,Published,Regular price,In stock?,Parent\n"
    "1,variable,HOOD,Hoodie,1,,1,\n"
    "2,variation,HOOD-S,,1,42,1,HOOD\n"
    "3,simple,CUP,Cup,1,three,1,\n"
)


def run(serve: Serve, source: Path, **parameters: Any) -> httpx.Response:
    return serve("import_catalog").post("/", json={"source": str(source), **parameters})


def names() -> dict[str, str]:
    return {row[0]: row[1] for row in postgres.read("SELECT external_id, name FROM products")}


def test_a_dry_run_reads_and_stores_nothing(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "wc-export.csv"
    feed.write_text(WOO)
    preview = run(serve, feed, dry_run=True).json()
    assert names() == {}
    assert (preview["dry_run"], preview["preset"], preview["columns"]["price"]) == (
        True,
        "woocommerce",
        "Regular price",
    )
    assert (preview["rows"], preview["used"], preview["created"], preview["unchanged"]) == (2, 1, 0, 0)
    assert preview["preview"] == [
        {
            "external_id": "HOOD-S",
            "item_group_id": "HOOD",
            "name": "Hoodie",
            "price": 42.0,
            "list_price": None,
            "quantity": 1,
            "stock_counted": False,
            "is_active": True,
        }
    ]
    done = run(serve, feed).json()
    assert (done["created"], [(error["row"], error["field"]) for error in done["errors"]]) == (1, [(4, "price")])
    assert names() == {"HOOD-S": "Hoodie"}


def test_a_file_without_an_ending_is_recognised(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    feed.write_text("<rss><item><id>1</id><title>A</title><price>1</price></item></rss>")
    assert run(serve, feed).json()["created"] == 1
    feed.write_text('{"external_id": "2", "name": "B", "price": 2}\n')
    assert run(serve, feed).json()["created"] == 1
    assert set(names()) == {"1", "2"}


def test_half_a_gzip_keeps_what_was_read_and_says_so(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv.gz"
    # more than the reader takes at once
    rows = "".join(f"{row},Cup {row},1,{'text ' * 200}\n" for row in range(4_000))
    body = gzip.compress(f"external_id,name,price,description\n{rows}".encode())
    feed.write_bytes(body[: len(body) * 9 // 10])
    answer = run(serve, feed)
    assert answer.status_code == 422
    problem = answer.json()
    assert "cannot be read" in problem["detail"]
    stored = len(names())
    assert (problem["created"], f"{stored} rows before that are stored" in problem["detail"]) == (stored, True)
    assert 0 < stored < 4_000


def test_a_mapping_that_names_no_column_stores_nothing(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text(WOO)
    answer = run(serve, feed, preset="woocommerce", columns="price:Preis")
    assert answer.status_code == 422
    assert "'Preis'" in answer.json()["detail"]
    assert names() == {}
