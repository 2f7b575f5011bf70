"""Products of schema.org in JSON-LD: single objects, arrays, ``@graph``, lists, and groups of variants.

One document is read as a whole, up to MAX_DOCUMENT_BYTES; a longer one needs one object a line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from shared.errors import InvalidRequest
from shared.tables.shop_systems import path, variant_title

MAX_DOCUMENT_BYTES: Final = 67_108_864
MAX_DEPTH: Final = 20
_MARK: Final = re.compile(rb'"@(?:context|type|graph)"\s*:')
_PRODUCTS: Final = frozenset(("product", "individualproduct", "productmodel", "someproducts", "vehicle", "car"))
# in which property an object holds further ones
_HOLDERS: Final = ("@graph", "itemListElement", "item", "mainEntity", "itemOffered")

Node = Mapping[str, Any]


def is_json_ld(head: bytes) -> bool:
    """Return whether a JSON file that begins with these bytes speaks of schema.org's types."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) and _MARK.search(head[:65_536]) is not None


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None if isinstance(value, list) else value


def _text(value: Any, *names: str) -> Any:
    """Return a property's value, of its first object the first of these names."""
    value = _first(value)
    if isinstance(value, Mapping):
        return next((_text(value[name]) for name in names if value.get(name)), None)
    return value


def _types(node: Node) -> set[str]:
    kinds = node.get("@type", [])
    listed = kinds if isinstance(kinds, list) else [kinds]
    return {str(kind).rpartition("/")[2].rpartition(":")[2].lower() for kind in listed}


def _rating(rating: Node) -> Any:
    """Return the average rating on a scale to 5."""
    value, best = (_text(rating.get(name)) for name in ("ratingValue", "bestRating"))
    try:
        return Decimal(str(value)) * 5 / Decimal(str(best)) if best not in (None, "") and value is not None else value
    except ArithmeticError:
        return value


def _options(node: Node) -> str | None:
    """Return the options of a variant in one text; None if it has none."""
    texts = (_text(node.get(name), "name", "value") for name in ("size", "color", "material", "pattern"))
    return variant_title(str(text) for text in texts if text) or None


def _fields(node: Node) -> dict[str, Any]:
    """Return a product's fields. Numbers stay as JSON has them, and texts are read as a table's cells are."""
    offers = node.get("offers")
    listed = [offer for offer in (offers if isinstance(offers, list) else [offers]) if isinstance(offer, Mapping)]
    offer: Node = listed[0] if listed else {}
    inner = _first(offer.get("offers"))
    rating = _first(node.get("aggregateRating"))
    rating = rating if isinstance(rating, Mapping) else {}
    price = _text(offer.get("price", offer.get("lowPrice")))
    if price is None and isinstance(inner, Mapping):
        price = _text(inner.get("price"))
    specification = _first(offer.get("priceSpecification"))
    if price is None and isinstance(specification, Mapping):
        price = _text(specification.get("price"))
    category = _text(node.get("category"), "name")
    fields = {
        "external_id": next(
            (
                value
                for name in ("sku", "productID", "mpn", "gtin13", "gtin", "gtin12", "gtin8", "@id", "url")
                if (value := _text(node.get(name))) not in (None, "")
            ),
            None,
        ),
        "name": _text(node.get("name"), "@value"),
        "description": _text(node.get("description"), "@value"),
        "price": price,
        "currency": _text(offer.get("priceCurrency")),
        "availability": _text(offer.get("availability"), "@id"),
        "quantity": _text(offer.get("inventoryLevel", node.get("inventoryLevel")), "value"),
        "image_url": _text(node.get("image"), "url", "contentUrl", "@id"),
        "brand": _text(node.get("brand"), "name"),
        "category": path(re.split(r"[>/]", category)) if isinstance(category, str) else None,
        "item_group_id": _text(node.get("inProductGroupWithID")) or _text(node.get("isVariantOf"), "productGroupID"),
        "variant_title": _options(node) if node.get("isVariantOf") or node.get("inProductGroupWithID") else None,
        "average_rating": _rating(rating),
        "review_count": _text(rating.get("reviewCount", rating.get("ratingCount"))),
    }
    if isinstance(fields["availability"], str) and fields["quantity"] is None and "quantity" in fields:
        del fields["quantity"]
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def products_in(value: Any, depth: int = 0) -> Iterator[dict[str, Any] | str]:
    """Yield the fields of each product in a document, or why an object is none."""
    if depth > MAX_DEPTH:
        yield f"is nested more than {MAX_DEPTH} levels deep"
    elif isinstance(value, list):
        for entry in value:
            yield from products_in(entry, depth + 1)
    elif isinstance(value, Mapping):
        types = _types(value)
        variants = value.get("hasVariant")
        if variants and types & (_PRODUCTS | {"productgroup"}):
            common = _fields(value)
            group = _text(value.get("productGroupID")) or common.get("external_id")
            for variant in variants if isinstance(variants, list) else [variants]:
                if isinstance(variant, Mapping):
                    own = _fields(variant)
                    # the group's id and offer are its own
                    shared = {name: common[name] for name in common if name not in ("external_id", "quantity")}
                    options = _options(variant)
                    more = {"item_group_id": group} if group else {}
                    yield shared | own | more | ({"variant_title": options} if group and options else {})
        elif types & _PRODUCTS:
            yield _fields(value)
        else:
            for name in _HOLDERS:
                if isinstance(value.get(name), list | Mapping):
                    yield from products_in(value[name], depth + 1)


def document(blocks: Iterable[bytes]) -> tuple[Any, bool]:
    """Return a JSON document, or its lines, and whether it has lines. Raises InvalidRequest when it is neither."""
    body = b""
    for block in blocks:
        body += block
        if len(body) > MAX_DOCUMENT_BYTES:
            raise InvalidRequest(
                f"The JSON-LD document is longer than {MAX_DOCUMENT_BYTES >> 20} MiB; split it into files."
            )
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        return orjson.loads(body), False
    except orjson.JSONDecodeError as error:
        if b"\n" not in body:
            raise InvalidRequest(f"The JSON-LD is not valid JSON: {error}.") from None
        whole = error
    lines = body.splitlines()
    try:
        orjson.loads(lines[0])
    except orjson.JSONDecodeError:
        raise InvalidRequest(f"The JSON-LD is not valid JSON: {whole}.") from None
    return lines, True


def json_ld_products(blocks: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield each product's number (from 1, or its line) and its fields, or why it has none.

    Raises InvalidRequest for a document without products.
    """
    content, has_lines = document(blocks)
    count = 0
    if has_lines:
        for number, line in enumerate(content, start=1):
            if not line.strip():
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                count += 1
                yield number, f"is not valid JSON: {error.msg}"
                continue
            for fields in products_in(value):
                count += 1
                yield number, fields
    else:
        for count, fields in enumerate(products_in(content), start=1):
            yield count, fields
    if not count:
        raise InvalidRequest("The JSON-LD has no object of the type Product or ProductGroup.")
