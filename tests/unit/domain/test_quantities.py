"""Quantities are whole numbers, in events, carts and the stock alike."""

from typing import Any

import pytest
from pydantic import ValidationError

from functions.cart.schemas import CartItemPatch, NewCartItem
from shared.domain.catalog import ProductWrite
from shared.domain.events import Event, quantity_of
from shared.domain.quantities import MAX_EVENT_QUANTITY, event_quantity

WRONG: list[Any] = ["3", "", 2.5, True, False, [], {}, 0, -2, 0.0, -1.0, float("inf"), float("nan")]


def purchase(metadata: Any, event_type: str = "purchase") -> Event:
    return Event.model_validate({"user_id": "u", "product_id": 1, "event_type": event_type, "metadata": metadata})


@pytest.mark.parametrize("quantity", WRONG)
def test_a_quantity_that_is_no_whole_number_from_one_is_refused_everywhere(quantity: Any) -> None:
    with pytest.raises(ValueError, match="whole number of at least 1"):
        event_quantity(quantity)
    for event_type in ("purchase", "add_to_cart", "remove_from_cart"):
        with pytest.raises(ValidationError):
            purchase({"quantity": quantity}, event_type)
    with pytest.raises(ValidationError):
        NewCartItem.model_validate({"product_id": 1, "quantity": quantity})
    with pytest.raises(ValidationError):
        CartItemPatch.model_validate({"quantity": quantity})


@pytest.mark.parametrize("quantity", ["3", 2.5, True, -1, -1.0])
def test_a_stock_is_a_whole_number_too(quantity: Any) -> None:
    with pytest.raises(ValidationError):
        ProductWrite.model_validate({"name": "Lamp", "price": 1, "quantity": quantity})


def test_a_number_without_a_fraction_is_whole_everywhere() -> None:
    assert quantity_of(purchase({"quantity": 2.0})) == 2
    assert NewCartItem.model_validate({"product_id": 1, "quantity": 2.0}).quantity == 2
    assert ProductWrite.model_validate({"name": "Lamp", "price": 1, "quantity": 2.0}).quantity == 2
    assert ProductWrite.model_validate({"name": "Lamp", "price": 1, "quantity": 0}).quantity == 0


def test_an_omitted_quantity_is_one_and_a_wholesale_order_is_limited() -> None:
    assert [quantity_of(purchase(metadata)) for metadata in (None, {}, {"quantity": None})] == [1, 1, 1]
    assert event_quantity(MAX_EVENT_QUANTITY) == MAX_EVENT_QUANTITY == event_quantity(MAX_EVENT_QUANTITY + 1)


def test_the_metadata_of_other_events_may_say_quantity_of_something_else() -> None:
    assert quantity_of(purchase({"quantity": "in stock"}, "view")) == 1
