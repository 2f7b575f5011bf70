"""Every write by staff is in the audit log, with what was before and after it; a route that is added is asked too."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.manifest import manifest
from shared.tokens import issue
from tests.integration.accounts.people import bearer, registered
from tests.integration.shop import add_model, add_products
from tests.integration.test_whose_data import STAFF

LINES = '{"name": "Bag", "price": 1}'
# method, path, what is sent, the action, and whether something was before and is after
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
    ("PUT", "/admin/users/{user_id}/role", {"role": "support"}, "user.role", True, True),
    ("POST", "/orders/{order_id}/state", {"state": "shipped"}, "order.state", True, True),
    # who it was is what is erased
    ("DELETE", "/admin/users/{user_id}", None, "user.erase", False, False),
]

# what needs Cloud Scheduler or a dead-letter subscription is held to it by test_schedules.py and test_dead_letters.py
ELSEWHERE = {
    ("POST", "/admin/jobs/{name}/pause"),
    ("POST", "/admin/jobs/{name}/resume"),
    ("POST", "/admin/dead-letters/replay"),
}


@pytest.fixture
def shop(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Every function behind one address; jobs are run at one where nobody is."""
    from local.apps import create
    from local.gateway import gateway
    from shared.clients import reset
    from tests.integration.conftest import Server

    monkeypatch.setenv("JOBS_URL", "http://127.0.0.1:1/_jobs")
    reset()
    with Server(gateway(manifest(), create)) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def test_every_write_of_staff_is_one_that_is_known() -> None:
    described = {(route.method, route.path) for route in STAFF if route.method != "GET"}
    assert described == {(write[0], write[1]) for write in WRITES} | ELSEWHERE


def test_every_write_of_staff_is_written_down(shop: httpx.Client) -> None:
    add_products(5)
    first = add_model({1: {2: 1.0}})
    add_model({1: {3: 1.0}})
    postgres.write(f"ALTER TABLE item_similarity_v{first} RENAME TO item_similarity_{first}")
    boss, other = registered(shop, "boss"), registered(shop, "other")
    postgres.write("UPDATE users SET role = 'admin' WHERE external_id = :u", u=boss["user_id"])
    headers = {"Authorization": f"Bearer {issue(boss['user_id'], 'admin')}"}
    shop.post("/cart/items", json={"product_id": 2, "quantity": 1}, headers=bearer(other))
    order = shop.post("/cart/checkout", json={}, headers=bearer(other) | {"Idempotency-Key": "k"}).json()["id"]
    places = {
        "product_id": "1",
        "scope": "similar",
        "version": str(first),
        "name": "popular",
        "rule_id": "1",
        "user_id": other["user_id"],
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
        assert [(row[0], row[1]) for row in rows] == [(boss["user_id"], action)], path
        assert (rows[0][2] is not None, rows[0][3] is not None) == (before, after), path
        assert rows[0][4] == answer.headers["x-request-id"], path
