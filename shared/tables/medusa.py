"""Products of Medusa 2 as its Store API returns them: each variant is a product, and a product's variants are a group.

The pull (jobs/data/medusa.py) and the deliveries of the shop's subscriber (functions/collect/medusa.py) read products
by these rules alone.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from shared.domain.catalog import MAX_CATEGORY_DEPTH, MAX_TAGS
from shared.domain.medusa import objects, variant_id
from shared.domain.shop import rounded
from shared.tables.markup import plain_text
from shared.tables.offers import SOME_PIECES
from shared.tables.product_values import Row, RowError, validated
from shared.tables.shop_systems import path, primary_and_further

# what is asked of the Store API; docs/connect/example/medusa-subscriber.ts asks for the same
PRODUCT_FIELDS: Final = (
    "id,title,subtitle,description,thumbnail,updated_at,*type,*tags,*categories,*variants,"
    "+variants.calculated_price,+variants.inventory_quantity"
)
CATEGORY_FIELDS: Final = "id,name,parent_category_id"
# far above the greatest quantity of a product
_MAX_PIECES: Final = 2**53


def category_paths(categories: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names from the top to each category, by its id; of a category whose parents are unknown, its own."""
    known = {str(category.get("id")): category for category in categories}
    paths: dict[str, list[str]] = {}
    for identifier in known:
        names: list[str] = []
        seen: set[str] = set()
        current: str | None = identifier
        while current in known and current not in seen:
            seen.add(current)
            # a name may have the character that separates the levels of a path
            names.insert(0, str(known[current].get("name") or "").replace(">", "/"))
            parent = known[current].get("parent_category_id")
            current = None if parent is None else str(parent)
        paths[identifier] = names[:MAX_CATEGORY_DEPTH]
    return paths


def products_of(
    product: Mapping[str, Any], paths: Mapping[str, list[str]], first_row: int
) -> list[Row | list[RowError]]:
    """Return a product's variants as products, or what is wrong with each. Rows are numbered from ``first_row``.

    Every field that Medusa has is given, with null where it is empty, so that a sale or a category that ends is taken
    back. ``is_active`` is not: a feed shows again what it has hidden (shared/storage/catalog/feeds.py).
    """
    shared = _shared_fields(product, paths)
    variants = objects(product.get("variants"))
    # the only variant has a title too, which says nothing
    has_titles = len(variants) > 1
    return [_row(first_row + place, shared, variant, has_title=has_titles) for place, variant in enumerate(variants)]


def _shared_fields(product: Mapping[str, Any], paths: Mapping[str, list[str]]) -> dict[str, Any]:
    named = [
        text
        for category in objects(product.get("categories"))
        if (text := path(paths.get(str(category.get("id"))) or [str(category.get("name") or "")]))
    ]
    kind = product.get("type")
    if not named and isinstance(kind, Mapping) and (text := path([str(kind.get("value") or "").replace(">", "/")])):
        named = [text]
    description = product.get("description") or product.get("subtitle") or ""
    tags = [tag.get("value") for tag in objects(product.get("tags"))]
    return {
        "name": product.get("title"),
        "description": plain_text(description) if isinstance(description, str) else description,
        "item_group_id": product.get("id"),
        "image_url": product.get("thumbnail"),
        "tags": [tag for tag in tags if tag][:MAX_TAGS],
        **({"category": None, "further_categories": []} if not named else primary_and_further(named)),
    }


def _row(row: int, shared: Mapping[str, Any], variant: Mapping[str, Any], *, has_title: bool) -> Row | list[RowError]:
    external_id = variant_id(variant.get("sku"), variant.get("id"))
    offer = variant.get("calculated_price")
    offer = offer if isinstance(offer, Mapping) else {}
    code = offer.get("currency_code")
    currency = code.upper() if isinstance(code, str) else None
    price = _amount(offer.get("calculated_amount"), currency)
    listed = _amount(offer.get("original_amount"), currency)
    if price is None:
        return [RowError(row, "price", "has no price in the region's currency; add one in Medusa", external_id)]
    image = variant.get("thumbnail") or shared["image_url"]
    return validated(
        row,
        {
            **shared,
            "external_id": external_id,
            "variant_title": (variant.get("title") or None) if has_title else None,
            "price": price,
            "list_price": listed if listed is not None and listed > price else None,
            "currency": currency,
            # Medusa also takes a path on its own server, which no other site can show
            "image_url": image if isinstance(image, str) and image.startswith(("http://", "https://")) else None,
            **_stock(variant),
        },
    )


def _amount(value: Any, currency: str | None) -> Decimal | None:
    """Return an amount with the decimals of its currency; None for anything but a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = Decimal(str(value))
    return rounded(number, currency) if number.is_finite() and abs(number) < 10**12 else None


def _stock(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stock of a variant: not counted where Medusa counts no pieces, or sells what it does not have."""
    counted = variant.get("inventory_quantity")
    counted = counted if isinstance(counted, (int, float)) and not isinstance(counted, bool) else 0
    # not of NaN or infinity, which the parser of a body takes for numbers
    pieces = int(counted) if abs(counted) < _MAX_PIECES else 0
    if variant.get("manage_inventory") is False or variant.get("allow_backorder") is True:
        return {"quantity": max(pieces, SOME_PIECES), "stock_counted": False}
    return {"quantity": max(pieces, 0), "stock_counted": True}
