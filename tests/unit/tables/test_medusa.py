"""Products of Medusa's Store API as products."""

from decimal import Decimal
from typing import Any

import pytest

from shared.domain.catalog import ProductWrite
from shared.tables.medusa import category_paths, products_of

PATHS = category_paths(
    [
        {"id": "shoes", "name": "Shoes", "parent_category_id": "women"},
        {"id": "women", "name": "Women", "parent_category_id": None},
        {"id": "odd", "name": "A > B", "parent_category_id": "women"},
        {"id": "orphan", "name": "Orphan", "parent_category_id": "unknown"},
    ]
)


def variant(number: int, **fields: Any) -> dict[str, Any]:
    price = {"calculated_amount": 59.9, "original_amount": 59.9, "currency_code": "eur"}
    return {"id": f"variant_{number}", "sku": f"SKU{number}", "calculated_price": price} | fields


def product(*variants: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "prod_1", "title": "Runner", "variants": list(variants)} | fields


def read(*variants: dict[str, Any], **fields: Any) -> ProductWrite:
    (row,) = products_of(product(*variants, **fields), PATHS, 1)
    assert isinstance(row, tuple), row
    return row[1]


def test_each_variant_is_a_product_of_the_group() -> None:
    rows = products_of(product(variant(1), variant(2, sku=None)), {}, 7)
    found = [(row[0], row[1].external_id, row[1].item_group_id) for row in rows if isinstance(row, tuple)]
    assert found == [(7, "SKU1", "prod_1"), (8, "variant_2", "prod_1")]


def test_html_tags_and_the_type_are_read() -> None:
    found = read(variant(1), description="<p>A <b>b</b></p>", tags=[{"value": "red"}], type={"value": "Shoe"})
    assert (found.description, found.tags, found.category) == ("A b", ["red"], "Shoe")


def test_the_deepest_category_is_the_primary_one() -> None:
    found = read(variant(1), categories=[{"id": "women"}, {"id": "shoes"}, {"id": "odd"}])
    assert (found.category, found.further_categories) == ("Women > Shoes", ["Women > A / B"])
    assert read(variant(1), categories=[{"id": "orphan"}]).category == "Orphan"
    # one that is not among the known ones has its own name
    assert read(variant(1), categories=[{"id": "new", "name": "New"}]).category == "New"


def test_categories_in_a_circle_end() -> None:
    circle = [{"id": "a", "name": "A", "parent_category_id": "b"}, {"id": "b", "name": "B", "parent_category_id": "a"}]
    assert category_paths(circle) == {"a": ["B", "A"], "b": ["A", "B"]}


def test_what_medusa_no_longer_has_is_taken_back() -> None:
    given = read(variant(1)).model_fields_set
    assert {"list_price", "category", "further_categories", "image_url", "tags", "description"} <= given
    # a feed shows again what it has hidden
    assert "is_active" not in given


@pytest.mark.parametrize(
    ("calculated", "original", "expected"),
    [
        (39.9, 51.9, (Decimal("39.90"), Decimal("51.90"))),
        (51.9, 51.9, (Decimal("51.90"), None)),
        (12.345, 10, (Decimal("12.35"), None)),
        (1200, None, (Decimal("1200.00"), None)),
        (0, 5, (Decimal("0.00"), Decimal("5.00"))),
    ],
)
def test_prices_and_sales(calculated: float, original: float | None, expected: tuple[Any, Any]) -> None:
    price = {"calculated_amount": calculated, "original_amount": original, "currency_code": "eur"}
    found = read(variant(1, calculated_price=price))
    assert (found.price, found.list_price, found.currency) == (*expected, "EUR")


@pytest.mark.parametrize(
    ("currency", "calculated", "original", "expected"),
    [
        ("kwd", 4.255, 4.2565, ("4.255", "4.257")),
        ("jpy", 1249.5, 1300, ("1250", "1300")),
        ("eur", 4.255, 4.264, ("4.26", None)),
    ],
)
def test_prices_have_the_decimals_of_their_currency(
    currency: str, calculated: float, original: float, expected: tuple[str, str | None]
) -> None:
    price = {"calculated_amount": calculated, "original_amount": original, "currency_code": currency}
    found = read(variant(1, calculated_price=price))
    assert (str(found.price), found.list_price and str(found.list_price)) == expected


@pytest.mark.parametrize("price", [None, {}, {"calculated_amount": None}, {"calculated_amount": float("nan")}])
def test_a_variant_without_a_price_is_refused_by_name(price: Any) -> None:
    rows = products_of(product(variant(1, calculated_price=price), variant(2)), {}, 1)
    assert isinstance(rows[0], list)
    assert (rows[0][0].field, rows[0][0].external_id) == ("price", "SKU1")
    assert isinstance(rows[1], tuple)


@pytest.mark.parametrize(
    ("fields", "pieces", "counted"),
    [
        ({"manage_inventory": True, "inventory_quantity": 7}, 7, True),
        ({"manage_inventory": True, "inventory_quantity": -2}, 0, True),
        ({"manage_inventory": True}, 0, True),
        ({"manage_inventory": True, "inventory_quantity": 0, "allow_backorder": True}, 1, False),
        ({"manage_inventory": True, "inventory_quantity": 3, "allow_backorder": True}, 3, False),
        ({"manage_inventory": True, "inventory_quantity": 3, "allow_backorder": False}, 3, True),
        ({"manage_inventory": False}, 1, False),
        ({"manage_inventory": False, "inventory_quantity": -2}, 1, False),
        ({"manage_inventory": True, "inventory_quantity": float("nan")}, 0, True),
        ({"manage_inventory": True, "inventory_quantity": float("inf")}, 0, True),
        ({"manage_inventory": True, "inventory_quantity": 7.0}, 7, True),
    ],
)
def test_stock(fields: dict[str, Any], pieces: int, counted: bool) -> None:
    found = read(variant(1, **fields))
    assert (found.quantity, found.stock_counted) == (pieces, counted)
    # a product that Medusa counts again says so
    assert {"quantity", "stock_counted"} <= found.model_fields_set


@pytest.mark.parametrize("value", [5, 1.5, True, "text", {"id": "a"}, [5], [None], [["a"]]])
@pytest.mark.parametrize("name", ["categories", "tags", "variants"])
def test_lists_that_are_none_are_empty(name: str, value: Any) -> None:
    rows = products_of(product(variant(1)) | {name: value}, PATHS, 1)
    assert len(rows) == (0 if name == "variants" else 1)


def test_images_that_other_sites_can_show() -> None:
    assert read(variant(1), thumbnail="https://cdn/p.png").image_url == "https://cdn/p.png"
    assert (
        read(variant(1, thumbnail="https://cdn/v.png"), thumbnail="https://cdn/p.png").image_url == "https://cdn/v.png"
    )
    assert read(variant(1), thumbnail="/static/p.png").image_url is None
