"""The wishlist filtered by the shop's own ids: which of the products on a page are on it."""

from typing import Any

import pytest

from shared.clients import postgres
from tests.integration.cart.conftest import Shopper


@pytest.fixture
def saved(ann: Shopper, bob: Shopper) -> dict[int, str]:
    """Ann saved products 1 to 4, Bob 4 and 5; returns the shop's own ids of products 1 to 5."""
    postgres.write("UPDATE products SET external_id = 'a/1,b' WHERE id = 1")
    for shopper, products in ((ann, (1, 2, 3, 4)), (bob, (4, 5))):
        for product_id in products:
            assert shopper.ask("PUT", f"/wishlist/{product_id}").status_code == 201
    return {row[0]: row[1] for row in postgres.read("SELECT id, external_id FROM products WHERE id <= 5")}


def ids(shopper: Shopper, **params: Any) -> tuple[list[int], int, str | None]:
    answer = shopper.ask("GET", "/wishlist", params=params)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [item["product"]["id"] for item in body["items"]], body["total"], body["next"]


def test_only_the_named_products_that_are_on_it_are_returned(ann: Shopper, bob: Shopper, saved: dict[int, str]) -> None:
    named = [saved[1], saved[4], saved[5], "unknown"]
    listed, total, following = ids(ann, external_id=named)
    assert (set(listed), total, following) == ({1, 4}, 2, None)
    assert set(ids(bob, external_id=named)[0]) == {4, 5}
    assert ids(ann, external_id=["unknown"]) == ([], 0, None)
    assert len(ids(ann)[0]) == 4


def test_the_filter_goes_on_with_a_cursor(ann: Shopper, saved: dict[int, str]) -> None:
    named = [saved[1], saved[2], saved[3]]
    first, total, following = ids(ann, external_id=named, page_size=2)
    assert (len(first), total) == (2, 3)
    rest, total, end = ids(ann, external_id=named, page_size=2, after=following)
    assert (set(first + rest), total, end) == ({1, 2, 3}, 3, None)


@pytest.mark.parametrize("named", [["x" * 256], [""], [str(number) for number in range(101)]])
def test_ids_that_none_can_be_are_refused(ann: Shopper, named: list[str]) -> None:
    assert ann.ask("GET", "/wishlist", params={"external_id": named}).status_code == 422
