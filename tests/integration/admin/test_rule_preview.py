"""POST /admin/preview: what a rule would change, by the code that serves, without storing anything."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.tokens import issue
from tests.integration.admin.conftest import epochs
from tests.integration.conftest import Serve
from tests.integration.people import ADMIN, bearer, register
from tests.integration.shop import StoredEvent, add_events, add_model, add_plain_products


@pytest.fixture
def shop(env: dict[str, str]) -> list[int]:
    """Eight products; Ann viewed the first, to which the next five are similar, the second most."""
    ids = add_plain_products(8)
    add_events([StoredEvent("ann", ids[0], "view", 1.0), StoredEvent("bob", None, "search", 1.0)])
    add_model({ids[0]: {ids[1]: 0.9, ids[2]: 0.7, ids[3]: 0.5, ids[4]: 0.3, ids[5]: 0.1}})
    return ids


@pytest.fixture
def staff(shop: list[int], serve: Serve) -> httpx.Client:
    """The admin function, called by a member of staff who may only read."""
    client = serve("admin")
    user_id = register(serve("accounts"), "staff")["user_id"]
    postgres.write("UPDATE users SET role = 'support' WHERE external_id = :id", id=user_id)
    client.headers.update(bearer(issue(user_id, "support")))
    return client


def stored() -> list[tuple[Any, ...]]:
    """Return what a rule that is saved would change."""
    rows = postgres.read("SELECT id, kind, product_id, factor, active, updated_at FROM rules ORDER BY id")
    audited = postgres.read("SELECT count(*) FROM audit_log WHERE action LIKE 'rule.%'")
    return [*map(tuple, rows), *map(tuple, audited), tuple(sorted(epochs().items()))]


def compared(client: httpx.Client, rule: dict[str, Any], **more: Any) -> dict[str, Any]:
    before = stored()
    answer = client.post("/admin/preview", json={"rule": rule, "user_id": "ann", "k": 4} | more)
    assert answer.status_code == 200, answer.text
    assert stored() == before
    body: dict[str, Any] = answer.json()
    return body


def places(body: dict[str, Any], side: str) -> list[tuple[str, int, int | None, str]]:
    return [
        (place["product"]["name"].removeprefix("product "), place["place"], place["other_place"], place["change"])
        for place in body[side]
    ]


def test_an_excluded_product_leaves_and_the_next_one_comes(staff: httpx.Client, shop: list[int]) -> None:
    body = compared(staff, {"kind": "exclude", "product_id": shop[2]})
    assert places(body, "before") == [
        ("1", 1, 1, "same"),
        ("2", 2, None, "removed"),
        ("3", 3, 2, "same"),
        ("4", 4, 3, "same"),
    ]
    assert places(body, "after") == [
        ("1", 1, 1, "same"),
        ("3", 2, 3, "same"),
        ("4", 3, 4, "same"),
        ("5", 4, None, "added"),
    ]
    assert (body["changes"], body["strategy"], body["user_id"]) == (True, "personalized", "ann")


def test_the_answer_after_is_the_one_that_shoppers_get_once_the_rule_is_saved(
    staff: httpx.Client, shop: list[int], serve: Serve
) -> None:
    rule = {"kind": "pin", "product_id": shop[7], "position": 2}
    promised = [place["product"]["id"] for place in compared(staff, rule)["after"]]
    recommendations = serve("recommendations")
    query: dict[str, Any] = {"user_id": "ann", "k": 4}
    now = [each["id"] for each in recommendations.get("/recommendations", params=query).json()["recommendations"]]
    assert now == [place["product"]["id"] for place in compared(staff, rule)["before"]]
    staff.post("/admin/rules", json=rule, headers=ADMIN).raise_for_status()
    then = [each["id"] for each in recommendations.get("/recommendations", params=query).json()["recommendations"]]
    assert then == promised
    assert promised[1] == shop[7]


def test_a_stored_rule_is_compared_with_its_change(staff: httpx.Client, shop: list[int]) -> None:
    first, other = (
        staff.post("/admin/rules", json={"kind": "exclude", "product_id": shop[number]}, headers=ADMIN).json()["id"]
        for number in (1, 3)
    )
    body = compared(staff, {"kind": "exclude", "product_id": shop[2]}, rule_id=first)
    # the other rule stays in force on both sides
    assert [name for name, *_ in places(body, "before")][:2] == ["2", "4"]
    assert [name for name, *_ in places(body, "after")][:2] == ["1", "4"]
    assert {rule["id"] for rule in staff.get("/admin/rules").json()["rules"]} == {first, other}


@pytest.mark.parametrize("period", [{"starts_at": "2090-01-01T00:00:00Z"}, {"ends_at": "2020-01-01T00:00:00Z"}])
def test_a_rule_of_another_period_counts_as_in_force(
    staff: httpx.Client, shop: list[int], period: dict[str, str]
) -> None:
    rule = {"kind": "exclude", "product_id": shop[1], "active": False} | period
    assert places(compared(staff, rule), "before")[0] == ("1", 1, None, "removed")


def test_a_new_visitor_has_an_answer_too_and_a_rule_of_a_segment_concerns_others(
    staff: httpx.Client, shop: list[int]
) -> None:
    body = compared(staff, {"kind": "pin", "product_id": shop[6]}, user_id=None)
    assert (body["strategy"], body["user_id"]) == ("trending", None)
    assert places(body, "after")[0][0] == "6"
    segment = postgres.write(
        "INSERT INTO segments (name, size, joined, departed, purchases, revenue, profile) "
        "VALUES ('s', 1, 0, 0, 0, 0, '{}') RETURNING id"
    )[0][0]
    unchanged = compared(staff, {"kind": "pin", "product_id": shop[6], "segment_id": segment})
    assert unchanged["changes"] is False
    assert unchanged["before"] == unchanged["after"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"rule": {"kind": "exclude", "product_id": 999}}, 404, ""),
        ({"rule": {"kind": "exclude", "category_id": 999}}, 404, ""),
        ({"rule": {"kind": "exclude", "product_id": 1}, "rule_id": 999}, 404, ""),
        ({"rule": {"kind": "boost", "product_id": 1, "factor": 0.5}}, 422, "rule"),
        ({"rule": {"kind": "exclude"}}, 422, "rule"),
        ({"rule": {"kind": "exclude", "product_id": 1}, "k": 101}, 422, "k"),
        ({"rule": {"kind": "exclude", "product_id": 1}, "speed": 1}, 422, "speed"),
        ({}, 422, "rule"),
    ],
)
def test_what_cannot_be_saved_cannot_be_tried(staff: httpx.Client, body: Any, status: int, field: str) -> None:
    before = stored()
    answer = staff.post("/admin/preview", json=body)
    assert answer.status_code == status, answer.text
    if field:
        assert answer.json()["errors"][0]["field"].startswith(field)
    assert stored() == before


def test_a_draft_shows_what_a_person_did_so_a_script_may_not(serve: Serve, shop: list[int]) -> None:
    body = {"rule": {"kind": "exclude", "product_id": shop[1]}, "user_id": "ann"}
    client = serve("admin")
    assert client.post("/admin/preview", json=body).status_code == 401
    assert client.post("/admin/preview", json=body, headers=ADMIN).status_code == 403
