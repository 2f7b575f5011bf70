"""A storefront's own tracking call as reports: which product each of its names means."""

from typing import Any

import pytest

from functions.collect.plain_events import reports
from shared.domain.order_events import REPORT

SHARED = {"user_id": "ann", "event_id": "e-1"}


def lines(event: str, *products: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of an order or a refund, which are valid."""
    (report,) = reports({**SHARED, "event": event, "order_id": "A-1", "products": list(products)})
    REPORT.validate_python(report)
    found: list[dict[str, Any]] = report["lines"]
    return found


@pytest.mark.parametrize(
    ("product", "ids"),
    [
        # a number as product_id is Aisle's; the same digits as a text are the shop's own
        ({"product_id": 5}, {"product_id": 5}),
        ({"productId": 5}, {"product_id": 5}),
        ({"product_id": "5"}, {"external_id": "5"}),
        ({"sku": "5"}, {"external_id": "5"}),
        # a number under another name is the shop's own, too
        ({"sku": 5}, {"external_id": "5"}),
        ({"item_id": 5}, {"external_id": "5"}),
        ({"external_id": 5}, {"external_id": "5"}),
        ({"product_id": None, "productId": 5}, {"product_id": 5}),
        ({"product_id": True, "sku": "5"}, {"external_id": "5"}),
        # both are checked against each other when the event is stored
        ({"product_id": 5, "external_id": "5"}, {"product_id": 5, "external_id": "5"}),
        ({"product_id": 7, "externalId": "5"}, {"product_id": 7, "external_id": "5"}),
        ({"product_id": 7, "sku": "5"}, {"product_id": 7}),
    ],
)
def test_a_number_is_aisle_s_and_a_text_the_shop_s_own(product: dict[str, Any], ids: dict[str, Any]) -> None:
    (report,) = reports({**SHARED, "event": "view", **product})
    assert report == SHARED | {"event_type": "view"} | ids
    REPORT.validate_python(report)
    assert lines("purchase", product) == [ids | {"quantity": 1}]
    assert lines("refund", product) == [ids]


def test_a_number_and_the_same_digits_of_another_line_are_two_products() -> None:
    two = [{"product_id": 5, "quantity": 2}, {"sku": "5", "quantity": 3}]
    expected = [{"product_id": 5, "quantity": 2}, {"external_id": "5", "quantity": 3}]
    assert lines("purchase", *two) == expected
    assert lines("refund", *two) == expected
    added = reports({**SHARED, "event": "add_to_cart", "products": two})
    assert [report.get("product_id") for report in added] == [5, None]
    assert [report.get("external_id") for report in added] == [None, "5"]


def test_pieces_of_one_product_are_added_up_and_those_of_another_are_not() -> None:
    refunded = lines(
        "refund", {"product_id": 5, "quantity": 2}, {"sku": "5", "quantity": 3}, {"product_id": 5, "quantity": 1}
    )
    assert refunded == [{"product_id": 5, "quantity": 3}, {"external_id": "5", "quantity": 3}]
    assert lines("refund", {"product_id": 5, "quantity": 2}, {"product_id": 5}) == [{"product_id": 5}]


def test_a_line_without_an_id_is_kept_for_the_validation_to_refuse() -> None:
    (report,) = reports({**SHARED, "event": "purchase", "order_id": "A-1", "products": [{"quantity": 1}, {"sku": "5"}]})
    assert [line["external_id"] for line in report["lines"]] == ["", "5"]
