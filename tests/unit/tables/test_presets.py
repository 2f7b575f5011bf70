"""Exports of shop systems are recognised by their columns, and a mapping is the caller's word against them."""

import pytest

from shared.errors import InvalidRequest
from shared.tables.presets import PRESETS, detect, parse_reading
from shared.tables.products import mapping_of, parse_products, shown


@pytest.mark.parametrize(
    ("header", "preset"),
    [
        ("Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Variant SKU,Variant Price,Status", "shopify"),
        ("Title,URL handle,Description,Vendor,Product category,Type,Tags,SKU,Price", "shopify"),
        ("ID,Type,SKU,Name,Published,Is featured?,Regular price,Categories", "woocommerce"),
        ("sku,store_view_code,attribute_set_code,product_type,categories,name,price,qty", "magento"),
        ("Product ID,Image,Name,Reference,Category,Price (tax excl.),Price (tax incl.),Quantity,Status", "prestashop"),
        ("id,title,description,link,image_link,availability,price", "google"),
        ("g:id,g:title,g:price", "google"),
        ("id,name,price", "aisle"),
        ("handle,name,price", "aisle"),
        ("type,sku,name,price", "aisle"),
    ],
)
def test_a_header_names_its_system(header: str, preset: str) -> None:
    assert detect(header.split(",")).name == preset


def test_a_mapping_without_a_preset_is_of_aisles_own_columns() -> None:
    body = b"Handle,Title,Variant Price,Variant SKU\nshirt,Shirt,3,S-1\n"
    mapped = parse_products(body, "csv", parse_reading(None, "external_id:Handle,name:Title,price:Variant Price"))
    assert (mapped.catalog.preset.name, mapped.rows[0][1].external_id) == ("aisle", "shirt")
    assert mapped.ignored == ["Variant SKU"]
    detected = parse_products(body, "csv")
    assert (detected.catalog.preset.name, detected.rows[0][1].external_id) == ("shopify", "S-1")
    # with a preset, the mapping changes single columns of it
    both = parse_products(
        b"Handle,Title,Variant Price,Variant SKU,Outlet\nshirt,Shirt,3,S-1,2\n",
        "csv",
        parse_reading("shopify", "price:Outlet"),
    )
    assert (both.rows[0][1].external_id, both.rows[0][1].price) == ("S-1", 2)
    assert mapping_of(both.catalog)["columns"]["price"] == "Outlet"


@pytest.mark.parametrize(
    ("preset", "columns", "says"),
    [
        ("shopware", None, "the presets are aisle, shopify"),
        ("google", "handle:x", "there is no field 'handle'"),
        (None, "handle:x", "there is no field 'handle'"),
        (None, "name", "FIELD:COLUMN"),
    ],
)
def test_a_wrong_option_names_what_is_right(preset: str | None, columns: str | None, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_reading(preset, columns)


def test_a_preset_whose_columns_are_missing_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"preset woocommerce.*columns=FIELD:NAME"):
        parse_products(b"external_id,title,price\n1,A,1\n", "csv", parse_reading("woocommerce", None))


def test_every_preset_reads_the_common_fields() -> None:
    for preset in PRESETS.values():
        assert {"external_id", "name", "price", "category", "image_url"} <= set(preset.schema)


def test_the_price_of_a_sale_and_stock_in_words_are_read_from_own_columns() -> None:
    feed = parse_products(
        b"external_id,name,price,sale_price,availability\na,A,9,7,in stock\nb,B,9,,out of stock\nc,C,9,8,soon\n", "csv"
    )
    rows = [shown(product) for _row, product in feed.rows]
    assert [(row["external_id"], row["price"], row["quantity"]) for row in rows] == [("a", 7.0, 1), ("b", 9.0, 0)]
    assert [(error.row, error.field) for error in feed.errors] == [(4, "availability")]
