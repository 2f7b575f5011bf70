"""Rows of shop systems: variants share their product's text, and rows that are no products are not errors."""

from typing import Any

import pytest

from shared.tables.products import Feed, mapping_of, parse_products, shown
from shared.tables.shop_systems import deepest, listed, primary_and_further


def parse(text: str, preset: str) -> tuple[Feed, dict[str | None, dict[str, Any]]]:
    feed = parse_products(text.encode(), "csv")
    assert feed.catalog.preset.name == preset
    return feed, {product.external_id: shown(product) for _row, product in feed.rows}


SHOPIFY = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,"
    "Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Image Src,Variant Image,"
    "Status\n"
    'shirt,Linen &amp; Co,"<p>Soft, <b>light</b>\nlinen</p>",Nordhem,Shirts,"summer, linen",TRUE,Size,S,LS-S,'
    "shopify,4,deny,39.00,https://x.example/a.jpg,,active\n"
    "shirt,,,,,,,,M,LS-M,shopify,-2,deny,39.00,,https://x.example/m.jpg,\n"
    "shirt,,,,,,,,L,,shopify,0,continue,39.00,,,\n"
    "shirt,,,,,,,,,,,,,,https://x.example/b.jpg,,\n"
    "cup,Cup,,,,,TRUE,Title,Default Title,,,0,deny,3,,,draft\n"
)


def test_shopify_variants_have_their_products_text() -> None:
    feed, products = parse(SHOPIFY, "shopify")
    assert feed.errors == []
    assert list(products) == ["LS-S", "LS-M", "shirt/L", "cup"]
    for sku in ("LS-S", "LS-M", "shirt/L"):
        shirt = products[sku]
        assert (shirt["name"], shirt["description"], shirt["brand"]) == ("Linen & Co", "Soft, light linen", "Nordhem")
        assert (shirt["category"], shirt["tags"], shirt["is_active"]) == ("Shirts", ["summer", "linen"], True)
        assert shirt["item_group_id"] == "shirt"
    assert products["cup"]["item_group_id"] == "cup"
    # the only variant of a product has no options
    titles = [product.get("variant_title") for product in products.values()]
    assert titles == ["S", "M", "L", None]
    assert [product["quantity"] for product in products.values()] == [4, 0, 1, 1]
    assert products["LS-M"]["image_url"] == "https://x.example/m.jpg"
    assert products["LS-S"]["image_url"] == products["shirt/L"]["image_url"] == "https://x.example/a.jpg"
    # a draft is hidden, and has none of the shirt's text
    assert (products["cup"]["is_active"], products["cup"].get("brand")) == (False, None)
    [image] = mapping_of(feed.catalog)["skipped"]
    assert (image["count"], image["rows"]) == (1, [6])


def test_an_export_without_trackers_says_what_is_sold_out() -> None:
    _feed, products = parse(
        "Handle,Title,Variant Price,Variant SKU,Variant Inventory Qty\na,A,1,a,0\nb,B,1,b,2\n", "shopify"
    )
    assert [product["quantity"] for product in products.values()] == [0, 2]


WOO = (
    "ID,Type,SKU,Name,Published,Visibility in catalog,Short description,Description,Date sale price starts,"
    "Date sale price ends,In stock?,Stock,Backorders allowed?,Sale price,Regular price,Categories,Tags,Images,Parent\n"
    '1,variable,HOOD,Hoodie,1,visible,Short,"Warm\\nand <b>soft</b>",,,1,,0,,,"Clothing, Clothing > Hoodies",'
    '"warm, wool","https://x.example/1.jpg, https://x.example/2.jpg",\n'
    "2,variation,HOOD-S,Hoodie - S,1,visible,,,,,1,3,0,35,42,,,,HOOD\n"
    "3,variation,,Hoodie - M,1,visible,,,,,0,,0,,42,,,https://x.example/m.jpg,id:1\n"
    "4,simple,CUP,Cup,1,visible,Small cup,,2099-01-01,,1,,0,2,3,Home,,,\n"
    '5,"simple, virtual",GIFT,Gift card,1,hidden,,,,,1,,0,,10,,,,\n'
    "6,simple,DRAFT,Draft,-1,visible,,,,,1,,0,,10,,,,\n"
    "7,grouped,SET,Set,1,visible,,,,,1,,0,,,,,,\n"
)


def test_woocommerce_variations_and_states() -> None:
    feed, products = parse(WOO, "woocommerce")
    assert feed.errors == []
    assert list(products) == ["HOOD-S", "3", "CUP", "GIFT", "DRAFT"]
    small, middle = products["HOOD-S"], products["3"]
    for hoodie in (small, middle):
        assert (hoodie["description"], hoodie["category"]) == ("Warm and soft", "Clothing > Hoodies")
        assert (hoodie["tags"], hoodie["name"]) == (["warm", "wool"], "Hoodie")
    assert [product.get("variant_title") for product in products.values()] == ["S", "M", None, None, None]
    assert (small["item_group_id"], middle["item_group_id"], small["list_price"]) == ("HOOD", "1", 42.0)
    assert (small.get("further_categories"), middle.get("list_price")) == (None, None)
    assert (small["price"], small["quantity"], small["image_url"]) == (35.0, 3, "https://x.example/1.jpg")
    assert (middle["price"], middle["quantity"], middle["image_url"]) == (42.0, 0, "https://x.example/m.jpg")
    # a sale that has not begun
    assert (products["CUP"]["price"], products["CUP"]["description"]) == (3.0, "Small cup")
    assert [product["is_active"] for product in products.values()] == [True, True, True, False, False]
    reasons = {entry["reason"]: entry["rows"] for entry in mapping_of(feed.catalog)["skipped"]}
    assert sorted(reasons.values()) == [[2], [8]]


def test_a_variation_is_hidden_with_its_product() -> None:
    _feed, products = parse(WOO.replace("1,variable,HOOD,Hoodie,1", "1,variable,HOOD,Hoodie,0"), "woocommerce")
    assert [product["is_active"] for product in products.values()][:3] == [False, False, True]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        # the chosen options, in columns of their own; a name of the variant's own gives way to the product's
        (
            ["variation,A,Hoodie - Blue,1,P,Blue,", "variation,B,Hoodie,1,P,Red,M"],
            [("Hoodie", "Blue"), ("Hoodie", "Red / M")],
        ),
        # an export without these columns has them at the end of the name
        (
            ['variation,A,"Hoodie - Blue, M",1,P,,', "variation,B,Hoodie - Red,1,P,,"],
            [("Hoodie", "Blue / M"), ("Hoodie", "Red")],
        ),
        # a name of its own, and one that has the sign itself
        (
            ["variation,A,Winter - Blue,1,P,,", "simple,B,Cup - Red,1,,,"],
            [("Winter - Blue", None), ("Cup - Red", None)],
        ),
        # of a product that is not in the file, or comes later
        (
            ["variation,A,Hat - Blue,1,X,Blue,", "simple,B,Hoodie - Red,1,,Red,"],
            [("Hat - Blue", "Blue"), ("Hoodie - Red", None)],
        ),
    ],
)
def test_variations_of_woocommerce_have_the_name_of_their_product_and_a_title(
    rows: list[str], named: list[tuple[str, str | None]]
) -> None:
    header = "Type,SKU,Name,Regular price,Parent,Attribute 1 value(s),Attribute 2 value(s)"
    text = "\n".join([header, 'variable,P,Hoodie,,,"Blue, Red","M, L"', *rows])
    feed, products = parse(text, "woocommerce")
    assert feed.errors == []
    assert [(product["name"], product.get("variant_title")) for product in products.values()] == named


def test_variants_of_magento_and_google_have_titles_and_other_products_none() -> None:
    header = "sku,store_view_code,product_type,name,price,configurable_variations\n"
    rows = (
        '"SH",,configurable,Shirt,,"sku=SH-S,size=S,color=Blue|sku=SH-M,size=M"\nSH-S,,simple,A,1,\nSH-M,,simple,B,1,\n'
    )
    _feed, products = parse(header + rows + "CUP,,simple,Cup,2,\n", "magento")
    assert [product.get("variant_title") for product in products.values()] == ["S / Blue", "M", None]
    header = "id\ttitle\tavailability\tprice\titem_group_id\tcolor\tsize\tmaterial\n"
    rows = "1\tShirt\tin_stock\t3 EUR\tG\tBlue\tS\tLinen\n2\tShirt\tin_stock\t3 EUR\tG\tRed\t\t\n"
    _feed, products = parse(
        header + rows + "3\tCup\tin_stock\t3 EUR\t\tWhite\t\t\n4\tHat\tin_stock\t3 EUR\tH\t\t\t\n", "google"
    )
    # in the order that Google's own pages have: size, colour, material
    assert [product.get("variant_title") for product in products.values()] == ["S / Blue / Linen", "Red", None, None]
    assert products["1"]["name"] == "Shirt"


def test_magento_attributes_stock_and_store_views() -> None:
    text = (
        "sku,store_view_code,attribute_set_code,product_type,categories,name,description,product_online,price,"
        "special_price,special_price_from_date,special_price_to_date,qty,is_in_stock,additional_attributes,"
        "configurable_variations\n"
        '"SH",,Default,configurable,"Default Category/Men/Shirts,Default Category/Sale",Shirt,<p>Linen</p>,1,,,,,0,1,'
        'brand=Nordhem,"sku=SH-S,size=S|sku=SH-M,size=M"\n'
        "SH-S,,Default,simple,,Shirt S,,1,39.00,29.00,2020-01-01,2099-01-01,4.0000,1,,\n"
        "SH-M,,Default,simple,,Shirt M,,1,39.00,,,,0.0000,0,,\n"
        "SH-S,de,Default,simple,,,,,,,,,,,,\n"
        "CUP,,Default,simple,Default Category/Home,Cup,,2,3,,,,7,1,manufacturer=Potter,\n"
    )
    feed, products = parse(text, "magento")
    assert feed.errors == []
    assert list(products) == ["SH-S", "SH-M", "CUP"]
    small = products["SH-S"]
    assert (small["price"], small["quantity"], small["category"]) == (29.0, 4, "Men > Shirts")
    assert (small["list_price"], small["item_group_id"], small["further_categories"]) == (39.0, "SH", ["Sale"])
    assert (small["description"], small["brand"], small["name"]) == ("Linen", "Nordhem", "Shirt S")
    assert products["SH-M"]["quantity"] == 0
    assert (products["CUP"]["is_active"], products["CUP"]["brand"]) == (False, "Potter")


def test_prestashop_rows_have_their_reference_or_their_id() -> None:
    text = (
        "Product ID;Image;Name;Reference;Category;Price (tax excl.);Price (tax incl.);Quantity;Status\n"
        "1;https://x.example/1.jpg;Cup;CUP;Home;10,00;11,90;5;1\n"
        "2;;Mug;;Home;10,00;12,90;-1;0\n"
    )
    feed, products = parse(text, "prestashop")
    assert feed.errors == []
    assert list(products) == ["CUP", "2"]
    assert (products["CUP"]["price"], products["CUP"]["quantity"], products["CUP"]["is_active"]) == (11.9, 5, True)
    assert (products["2"]["price"], products["2"]["quantity"], products["2"]["is_active"]) == (12.9, 0, False)


@pytest.mark.parametrize(
    ("own", "general", "category"),
    [
        ("Home > Cups", "Apparel & Accessories > Clothing", "Home > Cups"),
        ("", "Apparel & Accessories > Clothing, Shoes", "Apparel & Accessories > Clothing, Shoes"),
        ("", "2271", None),
        ("a > b > c > d > e > f", "", "a > b > c > d > e"),
        ("Home > Cups > Home", "", "Home > Cups"),
    ],
)
def test_google_categories(own: str, general: str, category: str | None) -> None:
    header = "id\ttitle\tavailability\tprice\tproduct_type\tgoogle_product_category\n"
    _feed, products = parse(f"{header}1\tA\tin_stock\t3 EUR\t{own}\t{general}\n", "google")
    assert products["1"].get("category") == category


def test_lists_and_paths() -> None:
    assert listed(r"a, b\, c ,,d") == ["a", "b, c", "d"]
    assert deepest(["Clothing", "Clothing > Hoodies", "Sale > Now"]) == "Clothing > Hoodies"
    assert deepest([]) is None
    assert primary_and_further(["Cloth", "Clothing", "Clothing > Hoodies", "Sale > Now", "Sale>Now"]) == {
        "category": "Clothing > Hoodies",
        "further_categories": ["Cloth", "Sale > Now"],
    }


def test_dates_and_currencies_of_google() -> None:
    _feed, products = parse(
        "id\ttitle\tprice\tsale_price\tavailability\tavailability_date\titem_group_id\n"
        "1\tA\t39 EUR\t29 EUR\tpreorder\t2026-12-24\tg\n2\tB\t39 EUR\t\tin_stock\t2026-12-24T10:00+0100\t\n",
        "google",
    )
    first, second = products["1"], products["2"]
    assert (first["price"], first["list_price"], first["currency"], first["item_group_id"]) == (29.0, 39.0, "EUR", "g")
    assert (first["available_from"].isoformat(), first["quantity"]) == ("2026-12-24T00:00:00+00:00", 1)
    assert second["available_from"].isoformat() == "2026-12-24T09:00:00+00:00"
    feed, _products = parse("id\ttitle\tprice\tsale_price\n1\tA\t39 EUR\t29 USD\n", "google")
    assert [(error.row, error.field) for error in feed.errors] == [(2, "price")]
