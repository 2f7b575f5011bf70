"""Catalogs as shop systems export them: which columns they have, and how their rows become products.

A preset names columns by the product's fields and by fields of its own, such as ``sale_price`` and ``handle``. Its
rows pass through a ``Shaper``, which returns the product's fields, or why a row is no product by itself: a further
image, or the common part of variants. Only shape is decided here; ``products`` reads numbers and validates.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import InvalidRequest
from shared.tables import shop_systems
from shared.tables.columns import PRODUCT_COLUMNS, Columns, Schema, parse_columns
from shared.tables.shop_systems import Shaper
from shared.tables.values import name_key

# of every preset: what the price is while a sale lasts, and what is said of the stock in words
OFFERS: Final[Schema] = {
    "sale_price": ("saleprice", "specialprice"),
    "sale_dates": ("salepriceeffectivedate",),
    "availability": ("availability",),
}


@dataclass(frozen=True)
class Preset:
    """The export of one shop system.

    schema : names of the columns of each field. signatures : a header that has all names of one of them is of this
    system. shaper : makes the function that a file's rows pass through, in the file's order. states_sales : an export
    says of each product whether it is on sale.
    """

    name: str
    title: str
    schema: Schema
    signatures: Sequence[frozenset[str]] = ()
    shaper: Callable[[Collection[str]], Shaper] = shop_systems.unchanged
    states_sales: bool = True


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


AISLE: Final = Preset("aisle", "Aisle's own columns", {**PRODUCT_COLUMNS, **OFFERS}, states_sales=False)
SHOPIFY: Final = Preset(
    "shopify",
    "Shopify product export",
    {
        "handle": ("handle urlhandle",),
        "name": ("title",),
        "description": ("body(html) description",),
        "brand": ("vendor",),
        "category": ("productcategory",),
        "type": ("type", "customproducttype"),
        "tags": ("tags",),
        "published": ("published publishedononlinestore",),
        "status": ("status",),
        "option1": ("option1value",),
        "option2": ("option2value",),
        "option3": ("option3value",),
        "external_id": ("variantsku sku",),
        "tracker": ("variantinventorytracker inventorytracker",),
        "oversell": ("variantinventorypolicy continuesellingwhenoutofstock",),
        "quantity": ("variantinventoryqty variantinventoryquantity inventoryquantity",),
        "price": ("variantprice price",),
        "list_price": ("variantcompareatprice compareatprice",),
        "image_url": ("imagesrc productimageurl",),
        "variant_image": ("variantimage variantimageurl",),
    },
    (_keys("handle title variantprice"), _keys("urlhandle title price"), _keys("handle title body(html) vendor")),
    shop_systems.shopify,
)
WOOCOMMERCE: Final = Preset(
    "woocommerce",
    "WooCommerce product export",
    {
        "id": ("id",),
        "type": ("type",),
        "external_id": ("sku",),
        "name": ("name",),
        "published": ("published",),
        "visibility": ("visibilityincatalog",),
        "short_description": ("shortdescription",),
        "description": ("description",),
        "sale_starts": ("datesalepricestarts",),
        "sale_ends": ("datesalepriceends",),
        "in_stock": ("instock?",),
        "quantity": ("stock",),
        "oversell": ("backordersallowed?",),
        "sale_price": ("saleprice",),
        "price": ("regularprice", "price"),
        "category": ("categories",),
        "tags": ("tags",),
        "image_url": ("images",),
        "parent": ("parent",),
        "option1": ("attribute1value(s)",),
        "option2": ("attribute2value(s)",),
        "option3": ("attribute3value(s)",),
        "brand": ("brands brand", "meta:brand"),
    },
    (_keys("type sku name regularprice"), _keys("id type name regularprice")),
    shop_systems.woocommerce,
)
MAGENTO: Final = Preset(
    "magento",
    "Magento / Adobe Commerce product export",
    {
        "external_id": ("sku",),
        "store_view": ("storeviewcode",),
        "type": ("producttype",),
        "category": ("categories",),
        "name": ("name",),
        "description": ("description",),
        "short_description": ("shortdescription",),
        "online": ("productonline",),
        "visibility": ("visibility",),
        "price": ("price",),
        "sale_price": ("specialprice",),
        "sale_starts": ("specialpricefromdate",),
        "sale_ends": ("specialpricetodate",),
        "image_url": ("baseimage",),
        "quantity": ("qty",),
        "in_stock": ("isinstock",),
        "attributes": ("additionalattributes",),
        "variations": ("configurablevariations",),
        "brand": ("brand manufacturer",),
    },
    (
        _keys("sku storeviewcode producttype"),
        _keys("sku attributesetcode producttype"),
        _keys("sku productwebsites producttype"),
    ),
    shop_systems.magento,
)
PRESTASHOP: Final = Preset(
    "prestashop",
    "PrestaShop product export",
    {
        "id": ("productid", "id"),
        "external_id": ("reference reference#", "sku"),
        "name": ("name name*",),
        "description": ("description",),
        "short_description": ("summary shortdescription",),
        "category": ("category categories(x,y,z)", "categories defaultcategory"),
        "price": (
            "price(taxincl) pricetaxincluded finalprice price(taxincluded)",
            "price(taxexcl) pricetaxexcluded baseprice price(taxexcluded)",
            "price",
        ),
        "quantity": ("quantity",),
        "online": ("status active(0/1)", "active enabled"),
        "brand": ("brand manufacturer",),
        "tags": ("tags(x,y,z)", "tags"),
        "image_url": ("imageurls(x,y,z)", "image imageurl cover"),
    },
    (
        _keys("productid reference price(taxexcl)"),
        _keys("productid reference price(taxincl)"),
        _keys("id reference price(taxexcl)"),
        _keys("productid name* pricetaxexcluded"),
        _keys("productid name* pricetaxincluded"),
        _keys("productid reference finalprice"),
    ),
    shop_systems.prestashop,
    states_sales=False,
)


def _with_namespace(schema: Mapping[str, str]) -> Schema:
    # some tools write the prefix of the XML feed into a table's header
    return {field: (names, " ".join(f"g:{name}" for name in names.split())) for field, names in schema.items()}


GOOGLE: Final = Preset(
    "google",
    "Google Merchant Center feed",
    _with_namespace(
        {
            "external_id": "id",
            "name": "title",
            "description": "description",
            "price": "price",
            "sale_price": "saleprice",
            "sale_dates": "salepriceeffectivedate",
            "availability": "availability",
            "available_from": "availabilitydate",
            "image_url": "imagelink",
            "brand": "brand",
            "category": "producttype",
            "google_category": "googleproductcategory",
            "item_group_id": "itemgroupid",
            "size": "size",
            "color": "color colour",
            "material": "material",
            "pattern": "pattern",
            "quantity": "sellongooglequantity quantitytosellonfacebook quantity inventory",
        }
    ),
    (
        _keys("id title imagelink"),
        _keys("id title availability"),
        _keys("id title googleproductcategory"),
        _keys("g:id g:title"),
        _keys("id title link price"),
        _keys("id title saleprice"),
        _keys("id title itemgroupid"),
    ),
    shop_systems.google,
)
# their rows are nested, and are read by a module of their own
JSON_LD: Final = Preset("jsonld", "schema.org Product JSON-LD", {**PRODUCT_COLUMNS, **OFFERS}, states_sales=False)

PRESETS: Final[Mapping[str, Preset]] = {
    preset.name: preset for preset in (AISLE, SHOPIFY, WOOCOMMERCE, MAGENTO, PRESTASHOP, GOOGLE, JSON_LD)
}
_KNOWN: Final = frozenset(
    key for preset in PRESETS.values() for ranks in preset.schema.values() for names in ranks for key in names.split()
)


def is_known(name: str) -> bool:
    """Return whether a column of this name belongs to any preset: the right separator makes most cells such names."""
    return name_key(name) in _KNOWN


def detect(names: Sequence[str]) -> Preset:
    """Return the preset of a table with these columns: Aisle's own unless another one's signature is there."""
    keys = {name_key(name) for name in names}
    for preset in PRESETS.values():
        if any(signature <= keys for signature in preset.signatures):
            return preset
    return AISLE


@dataclass(frozen=True)
class Reading:
    """How the caller wants a catalog read. No preset: detected. The mapping wins over the preset's columns."""

    preset: Preset | None = None
    mapping: Mapping[str, str] | None = None

    def columns(self, preset: Preset) -> Columns:
        """Return the columns of a file of this preset."""
        return Columns(preset.schema, self.mapping)


def parse_reading(preset: str | None, columns: str | None) -> Reading:
    """Read the options ``preset`` and ``columns``.

    With a mapping and no preset the file has Aisle's own columns. Raises InvalidRequest for an unknown preset or field.
    """
    if preset is not None and preset not in PRESETS:
        raise InvalidRequest(f"preset: {preset[:100]!r} is unknown; the presets are {', '.join(PRESETS)}.")
    chosen = PRESETS[preset] if preset is not None else AISLE if columns and columns.strip() else None
    mapping: dict[str, Any] = parse_columns(columns, (chosen or AISLE).schema)
    return Reading(chosen, mapping)
