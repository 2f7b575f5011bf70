"""How rows of shop systems become products: variants and their common part, categories, states, images.

A shaper is made for one file, from the fields that the file has columns of, and takes its rows in the file's order, as
texts by field without empty ones. It returns the product's fields, or ``NoProduct`` for a row that is none by itself.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.domain.catalog import MAX_CATEGORY_DEPTH, MAX_FURTHER_CATEGORIES, MAX_VARIANT_TITLE
from shared.domain.category_references import CATEGORY_SEPARATOR

Fields = dict[str, Any]


@dataclass(frozen=True)
class NoProduct:
    """A row that is no product by itself, and why."""

    reason: str


Shaper = Callable[[Mapping[str, str]], Fields | NoProduct]

IMAGE_ROW: Final = NoProduct("is a further image of the product above")
COMMON_ROW: Final = NoProduct("is the common part of variants, which follow as rows of their own")
GROUPED_ROW: Final = NoProduct("is a group of products, which are rows of their own")
STORE_VIEW_ROW: Final = NoProduct("repeats a product with the texts of another store view")
# memory of one file: the common parts of variants whose rows have not come yet
MAX_PARENTS: Final = 200_000

# fields that variants have from their common part, unless they have their own
_COMMON: Final = ("name", "description", "brand", "category", "further_categories", "tags", "image_url", "is_active")
_LISTED: Final = re.compile(r"(?<!\\),")


def unchanged(_fields: Collection[str]) -> Shaper:
    """Return a shaper that leaves rows as they are."""
    return dict


def listed(text: str) -> list[str]:
    r"""Return the parts of a list with commas; ``\,`` is a comma of a part."""
    return [part.strip().replace("\\,", ",") for part in _LISTED.split(text) if part.strip()]


def path(parts: list[str]) -> str | None:
    """Return a category path that a product may have: each name once, and its first levels."""
    names = list(dict.fromkeys(name.strip() for name in parts if name.strip()))[:MAX_CATEGORY_DEPTH]
    return f" {CATEGORY_SEPARATOR} ".join(names) or None


def deepest(paths: list[str]) -> str | None:
    """Return the most specific of several category paths, the first of those with the most levels."""
    split = [[part for part in text.split(CATEGORY_SEPARATOR) if part.strip()] for text in paths]
    return path(max(split, key=len)) if split else None


def primary_and_further(paths: list[str]) -> Fields:
    """Return the most specific of a product's categories, and the others without those that contain it."""
    primary = deepest(paths)
    others = [other for text in paths if (other := path(text.split(CATEGORY_SEPARATOR))) and other != primary]
    # a product in `Clothing > Hoodies` is in `Clothing`
    further = [other for other in dict.fromkeys(others) if not f"{primary} ".startswith(f"{other} ")]
    return {"category": primary, "further_categories": further[:MAX_FURTHER_CATEGORIES]}


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("true", "yes", "1", "active", "continue", "notify", "enabled", "published")


def _at_least_zero(text: str) -> str:
    # orders beyond the stock
    return "0" if text.startswith("-") else text


def variant_title(options: Iterable[str]) -> str:
    """Return the options of a variant in one text, as Shopify and Medusa write it."""
    return " / ".join(option for option in options if option)[:MAX_VARIANT_TITLE]


def shopify(fields_of_file: Collection[str]) -> Shaper:
    """Shopify: the first row of a handle has the product's text, each row has a variant or a further image."""
    parent: dict[str, Any] = {}
    last = ""

    def shape(row: Mapping[str, str]) -> Fields | NoProduct:
        nonlocal parent, last
        handle = row.get("handle", "")
        if "name" in row or handle != last:
            last = handle
            kind = row.get("category") or row.get("type", "")
            state = row.get("status", "active").lower()
            parent = {name: row[name] for name in ("name", "description", "brand", "image_url") if name in row} | {
                "category": path(kind.split(CATEGORY_SEPARATOR)),
                "tags": listed(row.get("tags", "")),
                "is_active": state == "active" and _is_true(row.get("published", "true")),
            }
        options = [row[name] for name in ("option1", "option2", "option3") if name in row]
        if not options and not {"price", "external_id", "quantity"} & row.keys():
            return IMAGE_ROW
        fields = parent | {name: row[name] for name in ("price", "list_price", "external_id") if name in row}
        if options and options != ["Default Title"]:
            fields["variant_title"] = variant_title(options)
        if "external_id" not in fields and handle:
            is_only = not options or options == ["Default Title"]
            fields["external_id"] = handle if is_only else "/".join((handle, *options))
        if "variant_image" in row:
            fields["image_url"] = row["variant_image"]
        if handle:
            fields["item_group_id"] = handle
        # no tracker: Shopify does not count the pieces, and sells without end
        is_counted = "quantity" in row and ("tracker" in row or "tracker" not in fields_of_file)
        if is_counted:
            fields["quantity"] = _at_least_zero(row["quantity"])
        if not is_counted or (_is_true(row.get("oversell")) and fields["quantity"] == "0"):
            fields.pop("quantity", None)
            fields["availability"] = "in stock"
        return fields

    return shape


class _Parents:
    """Common parts of variants, by the ids that variants name them with."""

    def __init__(self) -> None:
        self._known: dict[str, Fields] = {}

    def remember(self, ids: list[str], fields: Mapping[str, Any]) -> None:
        """Keep a common part until the file ends."""
        if len(self._known) < MAX_PARENTS:
            common = {name: fields[name] for name in _COMMON if fields.get(name) not in (None, [], "")}
            self._known.update(dict.fromkeys(ids, common))

    def name_of(self, parent: str) -> str | None:
        """Return the name of a common part; None if its row has not come yet."""
        name = self._known.get(parent, {}).get("name")
        return name if isinstance(name, str) else None

    def complete(self, parent: str, fields: Fields) -> Fields:
        """Return a variant's fields with those of its common part that it lacks."""
        common = self._known.get(parent, {})
        merged = common | {name: value for name, value in fields.items() if value not in (None, [], "")}
        # a variant is hidden with its product
        if common.get("is_active") is False or fields.get("is_active") is False:
            merged["is_active"] = False
        return merged


_BEFORE_OPTIONS: Final = " - "


def woocommerce(_fields: Collection[str]) -> Shaper:
    """WooCommerce: variations name their variable product by its SKU or as ``id:123``."""
    parents = _Parents()

    def shape(row: Mapping[str, str]) -> Fields | NoProduct:
        kinds = listed(row.get("type", "simple").lower())
        if "grouped" in kinds:
            return GROUPED_ROW
        text = row.get("description") or row.get("short_description", "")
        fields: Fields = {
            name: row[name]
            for name in ("external_id", "name", "price", "sale_price", "sale_starts", "sale_ends", "brand")
            if name in row
        } | {
            # the export writes line ends like this
            "description": text.replace("\\r", "").replace("\\n", "\n"),
            **primary_and_further(listed(row.get("category", ""))),
            "tags": listed(row.get("tags", "")),
            "is_active": row.get("published", "1") == "1" and row.get("visibility", "").lower() != "hidden",
        }
        if images := listed(row.get("image_url", "")):
            fields["image_url"] = images[0]
        if "brand" in fields:
            fields["brand"] = listed(fields["brand"])[0] if listed(fields["brand"]) else ""
        if "external_id" not in fields and "id" in row:
            fields["external_id"] = row["id"]
        ids = [text for text in (row.get("external_id"), f"id:{row['id']}" if "id" in row else None) if text]
        if "variable" in kinds:
            parents.remember(ids, fields)
            return COMMON_ROW
        state = row.get("in_stock", "1").lower()
        if "quantity" in row:
            fields["quantity"] = _at_least_zero(row["quantity"])
            if state in ("1", "backorder") and fields["quantity"] == "0" and _is_true(row.get("oversell")):
                fields.pop("quantity")
        if "quantity" not in fields:
            fields["availability"] = "out of stock" if state == "0" else "in stock"
        if "variation" in kinds and "parent" in row:
            options = [row[name] for name in ("option1", "option2", "option3") if name in row]
            common_name = parents.name_of(row["parent"])
            name, separator, at_end = fields.get("name", "").rpartition(_BEFORE_OPTIONS)
            if common_name and (options or (separator and name == common_name)):
                # WooCommerce puts the options at the end of the name: all variants have the product's name here
                fields.pop("name", None)
                options = options or listed(at_end)
            fields = parents.complete(row["parent"], fields)
            fields |= {"item_group_id": row["parent"].removeprefix("id:"), "variant_title": variant_title(options)}
        return {name: value for name, value in fields.items() if value not in (None, [], "")}

    return shape


_ROOTS: Final = frozenset(("default category", "root catalog", "home", "root"))


def _magento_paths(text: str) -> list[str]:
    parts = ([part for part in entry.split("/") if part.strip().lower() not in _ROOTS] for entry in listed(text))
    return [joined for names in parts if (joined := path(names))]


def _attributes(text: str) -> dict[str, str]:
    return {name: value for part in listed(text) for name, _, value in (part.partition("="),) if value}


def magento(_fields: Collection[str]) -> Shaper:
    """Magento: a configurable product lists its variants' SKUs. Variants above its row stay products of their own."""
    parents = _Parents()
    groups: dict[str, tuple[str, str]] = {}

    def shape(row: Mapping[str, str]) -> Fields | NoProduct:
        if row.get("store_view") and "name" not in row:
            return STORE_VIEW_ROW
        attributes = _attributes(row.get("attributes", ""))
        fields: Fields = {
            name: row[name]
            for name in ("external_id", "name", "price", "sale_price", "sale_starts", "sale_ends", "brand")
            if name in row
        } | {
            "description": row.get("description") or row.get("short_description", ""),
            **primary_and_further(_magento_paths(row.get("category", ""))),
            "is_active": row.get("online", "1") == "1",
        }
        fields.setdefault("brand", attributes.get("brand") or attributes.get("manufacturer", ""))
        if "image_url" in row and "://" in row["image_url"]:
            fields["image_url"] = row["image_url"]
        kind = row.get("type", "simple").lower()
        if kind in ("configurable", "grouped"):
            own = row.get("external_id", "")
            for variation in row.get("variations", "").split("|"):
                options = _attributes(variation)
                sku = options.pop("sku", None)
                if sku and len(groups) < MAX_PARENTS:
                    groups[sku] = own, variant_title(options.values())
            parents.remember([own], fields)
            return COMMON_ROW if kind == "configurable" else GROUPED_ROW
        if "quantity" in row:
            fields["quantity"] = _at_least_zero(row["quantity"].removesuffix(".0000"))
        if row.get("in_stock") == "0" or "quantity" not in row:
            fields["availability"] = "out of stock" if row.get("in_stock") == "0" else "in stock"
        if known := groups.get(row.get("external_id", "")):
            group, title = known
            fields = parents.complete(group, fields) | {"item_group_id": group, "variant_title": title}
        return {name: value for name, value in fields.items() if value not in (None, [], "")}

    return shape


def prestashop(_fields: Collection[str]) -> Shaper:
    """PrestaShop: a row is a product; its id stands for a reference that is not filled in."""

    def shape(row: Mapping[str, str]) -> Fields | NoProduct:
        fields: Fields = {
            name: row[name] for name in ("external_id", "name", "price", "quantity", "brand") if name in row
        } | {
            "description": row.get("description") or row.get("short_description", ""),
            **primary_and_further(listed(row.get("category", ""))),
            "tags": listed(row.get("tags", "")),
        }
        if "external_id" not in fields and "id" in row:
            fields["external_id"] = row["id"]
        if "quantity" in fields:
            fields["quantity"] = _at_least_zero(fields["quantity"])
        if images := listed(row.get("image_url", "")):
            fields["image_url"] = images[0]
        if "online" in row:
            fields["is_active"] = _is_true(row["online"])
        return {name: value for name, value in fields.items() if value not in (None, [], "")}

    return shape


def _in_utc(text: str) -> str:
    """Return a time in ISO 8601 with a zone, UTC where it has none; a text that is no time as it is."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def google(_fields: Collection[str]) -> Shaper:
    """Google Merchant Center: one offer a row; ``product_type`` is the shop's own category."""

    def shape(row: Mapping[str, str]) -> Fields | NoProduct:
        fields: Fields = {
            name: row[name]
            for name in (
                "external_id",
                "name",
                "description",
                "price",
                "sale_price",
                "sale_dates",
                "availability",
                "available_from",
                "image_url",
                "brand",
                "item_group_id",
                "quantity",
            )
            if name in row
        }
        own = listed(row.get("category", ""))
        general = row.get("google_category", "")
        # numbers of Google's taxonomy are no names; names of it have commas
        kind = own[0] if own else "" if general.isdigit() else general
        if category := path(kind.split(CATEGORY_SEPARATOR)):
            fields["category"] = category
        if available := fields.get("available_from"):
            fields["available_from"] = _in_utc(available)
        options = [row[name] for name in ("size", "color", "material", "pattern") if name in row]
        if options and "item_group_id" in fields:
            fields["variant_title"] = variant_title(options)
        return fields

    return shape
