"""Every write by staff is in the audit log with the state before and after. New routes are included."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from functions.admin.schemas.audit_log import AuditLogPage
from shared.clients import postgres
from shared.manifest import manifest
from shared.tokens import issue
from tests.integration.people import bearer, register
from tests.integration.shop import add_model, add_products
from tests.integration.test_whose_data import STAFF

LINES = '{"name": "Bag", "price": 1}'
# method, path, body, action, and whether the entry has a state before and after
WRITES: list[tuple[str, str, Any, str, bool, bool]] = [
    ("POST", "/products", {"name": "Lamp", "price": 1}, "product.create", False, True),
    ("PATCH", "/products/{product_id}", {"price": 2}, "product.update", True, True),
    ("DELETE", "/products/{product_id}", None, "product.delete", True, True),
    ("POST", "/products/import", LINES, "product.create", False, True),
    ("POST", "/admin/cache/flush", None, "cache.flush", False, True),
    ("POST", "/admin/cache/flush/{scope}", None, "cache.flush", False, True),
    ("POST", "/admin/models/{version}/activate", None, "model.activate", True, True),
    ("POST", "/admin/jobs/{name}/run", {"top": 5}, "job.run", False, True),
    ("POST", "/admin/rules", {"kind": "exclude", "brand": "Brand 1"}, "rule.add", False, True),
    ("PATCH", "/admin/rules/{rule_id}", {"note": "not this one"}, "rule.change", True, True),
    ("DELETE", "/admin/rules/{rule_id}", None, "rule.delete", True, False),
    ("PATCH", "/admin/shop", {"name": "Lamps"}, "shop.change", True, True),
    ("POST", "/admin/synonyms", {"term": "sofa", "meant": "couch"}, "synonym.add", False, True),
    ("DELETE", "/admin/synonyms/{synonym_id}", None, "synonym.delete", True, False),
    ("PUT", "/admin/users/{user_id}/role", {"role": "support"}, "user.role", True, True),
    ("POST", "/orders/{order_id}/state", {"state": "shipped"}, "order.state", True, True),
    # the entry keeps nothing of the erased person
    ("DELETE", "/admin/users/{user_id}", None, "user.erase", False, False),
]

# test_schedules.py and test_dead_letters.py cover the routes that need Cloud Scheduler or dead-letter subscriptions,
# tests/integration/test_api_keys.py those of API keys, tests/integration/jobs/test_import_feeds.py those of feeds. A
# change of a product by the shop's own id is the same function as by ours.
ELSEWHERE = {
    ("POST", "/admin/jobs/{name}/pause"),
    ("POST", "/admin/jobs/{name}/resume"),
    ("POST", "/admin/dead-letters/replay"),
    ("POST", "/admin/api-keys"),
    ("PATCH", "/products"),
    ("DELETE", "/products"),
    ("POST", "/admin/feeds"),
    ("PATCH", "/admin/feeds/{feed_id}"),
    ("DELETE", "/admin/feeds/{feed_id}"),
    ("DELETE", "/admin/api-keys/{key_id}"),
    # reads: its body names the users
    ("POST", "/recommendations/batch"),
    # tests/integration/products/test_images.py: it needs a file that was uploaded
    ("PUT", "/products/{product_id}/image"),
    # changes nothing: it says where a file may be sent
    ("POST", "/products/{product_id}/image-upload"),
    # changes nothing: its transaction is rolled back
    ("POST", "/admin/preview"),
    # changes nothing: staff may read the report that the link opens
    ("POST", "/admin/training-runs/{run_id}/report-link"),
}


@pytest.fixture
def shop(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Every function behind one address; the address of the jobs does not answer."""
    from local.apps import create
    from local.gateway import gateway
    from shared.clients import reset
    from tests.integration.conftest import Server

    monkeypatch.setenv("JOBS_URL", "http://127.0.0.1:1/_jobs")
    monkeypatch.setenv("JOBS_TOKEN", "jobs-token")
    reset()
    with Server(gateway(manifest(), create)) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def test_every_write_of_staff_is_tested_here_or_elsewhere() -> None:
    described = {(route.method, route.path) for route in STAFF if route.method != "GET"}
    assert described == {(write[0], write[1]) for write in WRITES} | ELSEWHERE


def test_every_write_of_staff_is_in_the_audit_log(shop: httpx.Client) -> None:
    add_products(5)
    first = add_model({1: {2: 1.0}})
    add_model({1: {3: 1.0}})
    postgres.write(f"ALTER TABLE item_similarity_v{first} RENAME TO item_similarity_{first}")
    admin, customer = register(shop, "boss"), register(shop, "other")
    postgres.write("UPDATE users SET role = 'admin' WHERE external_id = :u", u=admin["user_id"])
    headers = {"Authorization": f"Bearer {issue(admin['user_id'], 'admin')}"}
    shop.post("/cart/items", json={"product_id": 2, "quantity": 1}, headers=bearer(customer))
    order = shop.post("/cart/checkout", json={}, headers=bearer(customer) | {"Idempotency-Key": "k"}).json()["id"]
    places = {
        "product_id": "1",
        "scope": "similar",
        "version": str(first),
        "name": "popular",
        "rule_id": "1",
        "synonym_id": "1",
        "user_id": customer["user_id"],
        "order_id": order,
    }
    for method, path, body, action, before, after in WRITES:
        latest = postgres.read("SELECT coalesce(max(id), 0) FROM audit_log")[0][0]
        if isinstance(body, str):
            sent = {"content": body, "headers": headers | {"Content-Type": "application/x-ndjson"}}
        else:
            sent = {"json": body, "headers": headers}
        answer = shop.request(method, path.format(**places), **sent)  # type: ignore[arg-type]
        assert answer.is_success or (action == "job.run" and answer.status_code == 503), f"{path}: {answer.text}"
        rows = postgres.read(
            """SELECT external_id, action, before, after, request_id
            FROM audit_log a JOIN users ON users.id = actor_user_id WHERE a.id > :latest""",
            latest=latest,
        )
        assert [(row[0], row[1]) for row in rows] == [(admin["user_id"], action)], path
        assert (rows[0][2] is not None, rows[0][3] is not None) == (before, after), path
        assert rows[0][4] == answer.headers["x-request-id"], path


def test_the_audit_log_is_paged_newest_first_with_the_requests_id(client: httpx.Client) -> None:
    for number, scope in enumerate(("similar", "trending", "recommendations")):
        client.post(f"/admin/cache/flush/{scope}", headers={"X-Request-ID": f"request-{number}"})
    page = client.get("/admin/audit-log", params={"page_size": 2}).json()
    AuditLogPage.model_validate(page)
    assert [(entry["subject"], entry["request_id"]) for entry in page["entries"]] == [
        ("recommendations", "request-2"),
        ("trending", "request-1"),
    ]
    assert (page["total"], page["page"], page["page_size"], page["total_pages"]) == (3, 1, 2, 2)
    assert [entry["subject"] for entry in client.get("/admin/audit-log?page=2&page_size=2").json()["entries"]] == [
        "similar"
    ]
    beyond = client.get("/admin/audit-log?page=9&page_size=2").json()
    assert (beyond["entries"], beyond["total"]) == ([], 3)


@pytest.mark.parametrize("path", ["/admin/audit-log", "/admin/rejected-events"])
@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=x", "page_size=0", "page_size=101", "page=1.5", "limit=5", "page=99999999999999999999"],
)
def test_invalid_pages_are_refused(client: httpx.Client, path: str, query: str) -> None:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert orjson.loads(answer.content)["errors"]
