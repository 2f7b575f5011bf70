"""Rules that select products by their discount, from the route that writes them to the answers they change."""

from typing import Any

import httpx
import orjson
import pytest
from pydantic import ValidationError

from functions.admin import rules
from functions.admin.schemas.rules import RulePatch, RuleWrite
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import add_model, add_products


@pytest.fixture
def shop(env: dict[str, str], serve: Serve) -> httpx.Client:
    """Product 1 with four neighbours, of which 5 is 20 percent off, 4 a bit less, and 3 costs more than its list."""
    add_products(20)
    add_model({1: {2: 0.9, 3: 0.8, 4: 0.7, 5: 0.6}}, {"serving": {"blend": 1.0}})
    postgres.write("UPDATE products SET price = 8, list_price = 10 WHERE id = 5")
    postgres.write("UPDATE products SET price = 8.01, list_price = 10 WHERE id = 4")
    postgres.write("UPDATE products SET price = 10, list_price = 8 WHERE id = 3")
    return serve("recommendations")


def add(**rule: Any) -> dict[str, Any]:
    """Add a rule by the function behind the route: two applications do not share a process."""
    added: dict[str, Any] = orjson.loads(rules.create_rule("test", RuleWrite.model_validate(rule)).body)
    return added


def ids(shop: httpx.Client, path: str = "/recommendations", **query: Any) -> list[int]:
    answer = shop.get(path, params={"user_id": "u", "product_id": 1, "k": 4} | query)
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in next(value for value in answer.json().values() if isinstance(value, list))]


def test_a_discount_moves_a_product_by_the_rules_factor_alone(shop: httpx.Client) -> None:
    assert ids(shop) == [2, 3, 4, 5]
    rule = add(kind="boost", discount_min=0.2, factor=1.4)
    assert rule["discount_min"] == 0.2
    # 0.6 x 1.4 is between 0.9 and 0.8
    assert ids(shop) == [2, 5, 3, 4]
    rules.update_rule("test", rule["id"], RulePatch.model_validate({"discount_min": 0.199, "factor": 2}))
    assert ids(shop) == [4, 5, 2, 3]
    rules.delete_rule("test", rule["id"])
    assert ids(shop) == [2, 3, 4, 5]


@pytest.mark.parametrize("path", ["/recommendations", "/similar-products"])
def test_what_is_on_sale_can_be_left_out(shop: httpx.Client, path: str) -> None:
    assert {4, 5} <= set(ids(shop, path))
    add(kind="exclude", discount_min=0.2)
    assert 5 not in ids(shop, path)
    assert {2, 3, 4} <= set(ids(shop, path))


def test_the_previous_release_does_not_see_the_rule(shop: httpx.Client) -> None:
    """Its views would take a rule without a condition that it knows for one about all products."""
    add(kind="exclude", discount_min=0.2)
    known = add(kind="bury", product_id=2)
    for view in ("rules_in_force", "active_rules"):
        assert [row[0] for row in postgres.read(f"SELECT id FROM {view}")] == [known["id"]]


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan"), "much"])
def test_a_share_is_above_nothing_and_at_most_all(share: object) -> None:
    with pytest.raises(ValidationError):
        RuleWrite.model_validate({"kind": "boost", "discount_min": share})
    assert RuleWrite.model_validate({"kind": "boost", "discount_min": 1}).factor == 2
