"""The rules for a product's fields."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain.catalog import ProductPatch, ProductWrite

GOOD: dict[str, Any] = {"name": "Lantern", "price": 12.5}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", True),
        ("price", "1"),
        ("price", float("nan")),
        ("price", float("inf")),
        ("price", -0.01),
        ("price", 10**10),
        ("price", 1.2345),
        ("price", None),
        ("quantity", -1),
        ("quantity", 2**31),
        ("quantity", 1.5),
        ("quantity", "1"),
        ("quantity", True),
        ("quantity", None),
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 501),
        ("name", "a\0b"),
        ("name", "\ud800"),
        ("name", 5),
        ("name", None),
        ("description", "x" * 10_001),
        ("description", "\x1b[31m"),
        ("tags", "red"),
        ("tags", [1]),
        ("tags", [""]),
        ("tags", ["x" * 65]),
        ("tags", [str(n) for n in range(51)]),
        ("image_url", "javascript:alert(1)"),
        ("image_url", "/x.png"),
        ("image_url", "https://"),
        ("image_url", "https://x/" + "y" * 2000),
        ("image_url", "https://x/ y"),
        ("category", "A > "),
        ("category", ">"),
        ("category", "A>B>C>D>E>F"),
        ("category", "A > A"),
        ("category", " "),
        ("external_id", ""),
        ("external_id", "x" * 256),
        ("is_active", "yes"),
        ("is_active", 1),
        ("latitude", 1.0),
        ("colour", "red"),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        ProductWrite.model_validate({**GOOD, field: value})


@pytest.mark.parametrize(("latitude", "longitude"), [(91, 0), (0, 181), ("1", "2"), (True, False), (float("nan"), 0)])
def test_a_place_is_on_the_globe(latitude: object, longitude: object) -> None:
    with pytest.raises(ValidationError):
        ProductWrite.model_validate({**GOOD, "latitude": latitude, "longitude": longitude})


def test_a_category_is_named_in_one_way() -> None:
    with pytest.raises(ValidationError, match="either category or category_id"):
        ProductWrite.model_validate({**GOOD, "category": "A", "category_id": 1})


def test_text_is_stripped_and_tags_are_distinct() -> None:
    product = ProductWrite.model_validate(
        {**GOOD, "name": " Lantern ", "tags": ["red", "red ", "blue"], "description": None}
    )
    assert (product.name, product.tags, product.description) == ("Lantern", ["red", "blue"], "")


def test_a_price_is_the_decimal_that_was_written() -> None:
    assert str(ProductWrite.model_validate({**GOOD, "price": 0.1}).price) == "0.1"
    assert str(ProductWrite.model_validate({**GOOD, "price": 9_999_999_999.99}).price) == "9999999999.99"


def test_a_patch_contains_only_the_fields_that_were_sent() -> None:
    patch = ProductPatch.model_validate({"brand": None, "quantity": 0})
    assert patch.model_fields_set == {"brand", "quantity"}
    for field in ("name", "price", "quantity", "is_active"):
        with pytest.raises(ValidationError):
            ProductPatch.model_validate({field: None})


@pytest.mark.parametrize("quantity", [0, 1, 2**31 - 1])
def test_a_stock_of_up_to_the_largest_integer_of_postgres_is_taken(quantity: int) -> None:
    assert ProductWrite.model_validate(GOOD | {"quantity": quantity}).quantity == quantity
