"""The routes by which admins write rules."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres, redis_sync
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import EPOCHS, RECOMMENDATIONS, SIMILAR, TRENDING
from tests.integration.conftest import Serve
from tests.integration.people import as_admin
from tests.integration.shop import add_products


@pytest.fixture
def admin(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products(5)
    return as_admin(serve("admin"))


def add(admin: httpx.Client, **rule: Any) -> dict[str, Any]:
    answer = admin.post("/admin/rules", json=rule)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


def test_every_write_is_audited_and_flushes(admin: httpx.Client) -> None:
    rule = add(admin, kind="boost", tag="tag1")
    assert rule["factor"] == 2
    admin.patch(f"/admin/rules/{rule['id']}", json={"factor": 4})
    admin.delete(f"/admin/rules/{rule['id']}")
    rows = postgres.read("SELECT action, subject, before->>'factor', after->>'factor' FROM audit_log ORDER BY id")
    subject = str(rule["id"])
    assert [tuple(row) for row in rows] == [
        ("rule.add", subject, None, "2.0"),
        ("rule.change", subject, "2.0", "4.0"),
        ("rule.delete", subject, "4.0", None),
    ]


def test_a_write_drops_the_answers_that_rules_affect_and_no_others(admin: httpx.Client) -> None:
    invalidation.flush()
    rule = add(admin, kind="boost", tag="tag1")
    path = f"/admin/rules/{rule['id']}"
    for write in (
        lambda: add(admin, kind="bury", tag="tag2"),
        lambda: admin.patch(path, json={"factor": 4}),
        lambda: admin.delete(path),
    ):
        before = redis_sync.client().hgetall(EPOCHS)
        write()
        after = redis_sync.client().hgetall(EPOCHS)
        changed = {scope for scope, epoch in after.items() if before[scope] != epoch}
        assert changed == {scope.encode() for scope in (RECOMMENDATIONS, SIMILAR, TRENDING)}


def test_the_same_idempotency_key_adds_one_rule(admin: httpx.Client) -> None:
    body = {"kind": "boost", "tag": "tag1"}
    first, second = (admin.post("/admin/rules", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first.json() == second.json()
    assert len(admin.get("/admin/rules").json()["rules"]) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"kind": "exclude"}, 422),
        ({"kind": "hide", "product_id": 1}, 422),
        ({"kind": "exclude", "product_id": 99}, 404),
        ({"kind": "exclude", "category_id": 99}, 404),
        ({"kind": "pin", "brand": "x"}, 422),
        ({"kind": "pin", "product_id": 1, "position": 0}, 422),
        ({"kind": "boost", "brand": "x", "factor": 0.5}, 422),
        ({"kind": "bury", "brand": "x", "factor": 2}, 422),
        ({"kind": "boost", "brand": "x", "factor": 1}, 422),
        ({"kind": "exclude", "brand": "x", "factor": 2}, 422),
        ({"kind": "exclude", "brand": ""}, 422),
        ({"kind": "exclude", "brand": "a\u0000b"}, 422),
        ({"kind": "exclude", "price_min": 3, "price_max": 2}, 422),
        ({"kind": "exclude", "price_min": -1}, 422),
        ({"kind": "exclude", "brand": "x", "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00Z"}, 422),
        ({"kind": "exclude", "brand": "x", "starts_at": "2026-01-02T00:00:00"}, 422),
        ({"kind": "exclude", "brand": "x", "position": 1}, 422),
        ({"kind": "exclude", "brand": "x", "nope": 1}, 422),
        # a text would be the shop's own id
        ({"kind": "exclude", "product_id": "1"}, 422),
        ({"kind": "exclude", "category_id": "1"}, 422),
        ({"kind": "exclude", "brand": "x", "segment_id": "1"}, 422),
        ({"kind": "exclude", "product_id": True}, 422),
    ],
)
def test_a_bad_rule_is_a_problem_and_changes_nothing(admin: httpx.Client, body: dict[str, Any], status: int) -> None:
    answer = admin.post("/admin/rules", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert admin.get("/admin/rules").json() == {"rules": []}
    assert postgres.read("SELECT 1 FROM audit_log") == []


def test_a_bad_change_is_a_problem_and_changes_nothing(admin: httpx.Client) -> None:
    rule = add(admin, kind="boost", tag="tag1")
    path = f"/admin/rules/{rule['id']}"
    for body in ({"factor": 0.5}, {"tag": None}, {"nope": 1}, {"kind": "exclude"}, {"id": 7}, {"product_id": "x"}):
        answer = admin.patch(path, json=body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"], body
    assert admin.get("/admin/rules").json()["rules"] == [rule]
    assert admin.patch("/admin/rules/999", json={}).status_code == 404
    assert admin.delete("/admin/rules/999").status_code == 404
    assert admin.patch("/admin/rules/0", json={}).status_code == 422
