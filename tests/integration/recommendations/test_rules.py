"""The shop's rules, from the route that writes them to the answers they change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from functions.admin import rules
from functions.admin.schemas.rules import RulePatch, RuleWrite
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import add_model, add_products


@pytest.fixture
def shop(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products(20)
    add_model({1: {2: 0.9, 3: 0.8, 4: 0.7, 5: 0.6}}, {"serving": {"blend": 1.0}})
    return serve("recommendations")


def add(**rule: Any) -> dict[str, Any]:
    """Add a rule by the function behind the route: two applications do not share a process."""
    rule_added: dict[str, Any] = orjson.loads(rules.create_rule("test", RuleWrite.model_validate(rule)).body)
    return rule_added


def products(shop: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = shop.get("/recommendations", params={"user_id": "u", "product_id": 1, "k": 4} | query)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["recommendations"]
    return listed


def ids(shop: httpx.Client, **query: Any) -> list[int]:
    return [product["id"] for product in products(shop, **query)]


def test_a_rule_applies_at_once_and_until_it_is_deleted(shop: httpx.Client) -> None:
    assert ids(shop) == [2, 3, 4, 5]
    rule = add(kind="exclude", product_id=2)
    assert rule["in_force"] is True
    assert ids(shop) == [3, 4, 5, 20]
    assert rules.delete_rule("test", rule["id"]).status_code == 204
    assert ids(shop) == [2, 3, 4, 5]


def test_a_pinned_product_that_is_not_a_candidate_gets_its_position_and_reason(shop: httpx.Client) -> None:
    rule = add(kind="pin", product_id=11, position=2, note="Summer sale")
    listed = products(shop, explain=True)
    assert [product["id"] for product in listed] == [2, 11, 3, 4]
    assert [product["rank"] for product in listed] == [1, 2, 3, 4]
    assert listed[1]["reason"] == {
        "kind": "rule",
        "product_id": None,
        "product_name": None,
        "text": "Summer sale",
        "rule_id": rule["id"],
    }
    assert listed[0]["reason"]["kind"] == "similar"
    assert "reason" not in products(shop)[1]


def test_a_pin_respects_the_filters_of_the_request(shop: httpx.Client) -> None:
    add(kind="pin", product_id=11)
    assert ids(shop)[0] == 11
    assert 11 not in ids(shop, exclude="11")
    assert 11 not in ids(shop, category_id=1)
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 11")
    assert 11 not in ids(shop, in_stock=True)
    postgres.write("UPDATE products SET is_active = false WHERE id = 11")
    assert 11 not in ids(shop, exclude="19")


def test_exclude_wins_over_pin_and_applies_to_every_route(shop: httpx.Client) -> None:
    postgres.write("INSERT INTO trending_scores (time_window, product_id, score, event_count) VALUES ('7d', 2, 1, 1)")
    add(kind="pin", product_id=2)
    add(kind="exclude", brand="Brand 2")
    assert 2 not in ids(shop, k=20)
    assert 2 not in [product["id"] for product in shop.get("/similar-products?product_id=1").json()["similar_products"]]
    assert shop.get("/trending").json()["products"] == []


def test_boost_and_bury_move_the_products_that_they_select(shop: httpx.Client) -> None:
    add(kind="boost", price_min=5, price_max=5, factor=3)
    bury = add(kind="bury", product_id=2)
    listed = products(shop, explain=True)
    assert [product["id"] for product in listed] == [5, 3, 4, 2]
    assert listed[0]["reason"]["text"] == "Favoured by the shop"
    assert (listed[3]["reason"]["kind"], listed[3]["reason"]["rule_id"]) == ("rule", bury["id"])


def test_a_category_includes_those_below_it(shop: httpx.Client) -> None:
    postgres.write("INSERT INTO categories (id, name) VALUES (50, 'All')")
    postgres.write("UPDATE categories SET parent_id = 50 WHERE name = 'Candles'")
    add(kind="exclude", category_id=50)
    assert {product["category"] for product in products(shop, k=20)} == {"Bags"}


def test_a_rule_applies_only_between_its_dates_and_while_it_is_active(shop: httpx.Client) -> None:
    now = datetime.now(UTC)
    ended = add(kind="exclude", product_id=2, ends_at=(now - timedelta(minutes=1)).isoformat())
    later = add(kind="exclude", product_id=3, starts_at=(now + timedelta(hours=1)).isoformat())
    asleep = add(kind="exclude", product_id=4, active=False)
    assert not any(rule["in_force"] for rule in (ended, later, asleep))
    assert ids(shop) == [2, 3, 4, 5]
    assert rules.update_rule("test", later["id"], RulePatch.model_validate({"starts_at": None})).in_force
    assert ids(shop) == [2, 4, 5, 20]
    assert [rule.in_force for rule in rules.list_rules().rules] == [False, True, False]
