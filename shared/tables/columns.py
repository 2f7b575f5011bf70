"""Which column of a file is which field: by the usual names in any case, or by a mapping that the caller gives."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidRequest
from shared.tables.values import name_key

# Names of each field, as name_key() writes them, in ranks: a column of a better rank wins over the others. Two columns
# of one rank are an error, since the choice would be a guess.
Schema = Mapping[str, Sequence[str]]

_USER: Final = (
    "userid",
    "visitorid customerid userpseudoid anonymousid reviewerid",
    "user customer visitor clientid uid profileid customernumber",
)
_EVENT_TYPE: Final = (
    "eventtype",
    "event eventname behaviortype behavior interaction interactiontype activity",
    "type action",
)
_TIMESTAMP: Final = (
    "timestamp",
    "eventtime eventtimestamp unixreviewtime occurredat",
    "time datetime ts servertime createdat date",
)
_ITEM: Final = ("externalid itemid", "sku productsku stockcode articleid asin parentasin", "item product article")
_EVENT_EXTRAS: Final[Schema] = {
    "session_id": ("sessionid", "usersession gasessionid", "session visitid"),
    "quantity": ("quantity", "qty itemquantity", "units pieces"),
    "metadata": ("metadata", "properties"),
    "event_id": ("eventid", "insertid messageid"),
}
# events of a shop: product_id is the number that Aisle gave the product
EVENT_COLUMNS: Final[Schema] = {
    "user_id": _USER,
    "event_type": _EVENT_TYPE,
    "timestamp": _TIMESTAMP,
    "product_id": ("productid",),
    "external_id": _ITEM,
    **_EVENT_EXTRAS,
}
# events of a file alone: no shop numbers its products, and product_id is a name like any other
STANDALONE_EVENT_COLUMNS: Final[Schema] = {
    **{name: ranks for name, ranks in EVENT_COLUMNS.items() if name != "product_id"},
    "external_id": (_ITEM[0], "productid " + _ITEM[1], _ITEM[2]),
}
PRODUCT_COLUMNS: Final[Schema] = {
    "external_id": ("externalid", "itemid productid sku productsku stockcode articleid asin", "id"),
    "name": ("name", "title productname producttitle itemname"),
    "item_group_id": ("itemgroupid", "groupid variantgroupid productgroupid parentsku"),
    "variant_title": ("varianttitle", "variantname"),
    "description": ("description", "productdescription longdescription", "body bodyhtml"),
    "price": ("price", "unitprice productprice"),
    "list_price": ("listprice", "compareatprice variantcompareatprice originalprice msrp rrp"),
    "currency": ("currency", "pricecurrency currencycode"),
    "image_url": ("imageurl", "imagelink imagesrc productimageurl", "image"),
    "category": ("category", "categorypath categoryname", "producttype productcategory googleproductcategory"),
    "category_id": ("categoryid",),
    "further_categories": ("furthercategories", "additionalcategories"),
    "brand": ("brand", "vendor manufacturer"),
    "tags": ("tags", "labels keywords"),
    "quantity": ("quantity", "qty stockquantity inventoryquantity quantityinstock", "stock inventory"),
    "stock_counted": ("stockcounted",),
    "is_active": ("isactive", "active enabled published"),
    "available_from": ("availablefrom", "availabilitydate"),
    "average_rating": ("averagerating", "rating ratingvalue ratingaverage"),
    "review_count": ("reviewcount", "ratingcount numberofreviews"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon lng"),
}


@dataclass(frozen=True)
class Resolved:
    """The columns of a file.

    positions : the position of each field that the file has.
    unknown : names that are no field's. unused : names of fields that another column has already.
    """

    positions: Mapping[str, int]
    unknown: Sequence[str]
    unused: Sequence[str]


def parse_columns(text: str | None, schema: Collection[str]) -> dict[str, str]:
    """Read a mapping such as ``external_id:Handle,name:Title``: the field, then the file's column.

    A column's name may have commas. Raises InvalidRequest for a field that does not exist.
    """
    mapping: dict[str, str] = {}
    last = ""
    for part in filter(str.strip, (text or "").split(",")):
        field, separator, column = part.partition(":")
        field = field.strip()
        if not separator and last:
            # a comma of the column's own name
            mapping[last] += "," + part
        elif not separator:
            raise InvalidRequest(
                f"columns: write FIELD:COLUMN pairs, as in external_id:Handle,name:Title; got {part.strip()[:100]!r}."
            )
        elif field not in schema:
            raise InvalidRequest(f"columns: there is no field {field[:100]!r}; the fields are {', '.join(schema)}.")
        elif field in mapping:
            raise InvalidRequest(f"columns: {field} is given twice.")
        else:
            mapping[field], last = column.strip(), field
    for field, column in mapping.items():
        if not column.strip():
            raise InvalidRequest(f"columns: name the file's column after {field}:, as in {field}:Title.")
    return mapping


def _is_unnamed(name: str) -> bool:
    # a table's index, as pandas writes it, and the columns that a separator at every line's end makes
    return not name.strip() or name.startswith(("Unnamed: ", "__index_level_"))


class Columns:
    """The fields of one kind of table: by the caller's mapping, then by the usual names."""

    def __init__(self, schema: Schema, mapping: Mapping[str, str] | None = None) -> None:
        self.fields = tuple(schema)
        self.mapping = dict(mapping or {})
        self._ranks = {
            key: (field, rank)
            for field, names in schema.items()
            for rank, keys in enumerate(names)
            for key in keys.split()
        }
        self._mapped = {name_key(column) for column in self.mapping.values()}

    def is_known(self, name: str) -> bool:
        """Return whether a file's column of this name would be read."""
        key = name_key(name)
        return key in self._ranks or key in self._mapped

    def check_mapped(self, names: Sequence[str]) -> None:
        """Raise InvalidRequest when the mapping names a column that is not among these."""
        keys = {name_key(name) for name in names}
        for column in self.mapping.values():
            if names and name_key(column) not in keys:
                raise InvalidRequest(
                    f"columns: the file has no column {column[:100]!r}; it has: {', '.join(names)[:500]}."
                )

    def resolve(self, names: Sequence[str], *, every_mapped: bool = True) -> Resolved:
        """Return which of these columns are which fields.

        Raises InvalidRequest when two columns are the same field, or (``every_mapped``) when the mapping names a column
        that is not there.
        """
        positions: dict[str, int] = {}
        if every_mapped:
            self.check_mapped(names)
        for field, column in self.mapping.items():
            same = [place for place, name in enumerate(names) if name.strip() == column.strip()] or [
                place for place, name in enumerate(names) if name_key(name) == name_key(column)
            ]
            if len(same) > 1:
                raise InvalidRequest(f"The file names the column {column[:100]!r} twice.")
            if same:
                positions[field] = same[0]
        taken, unknown, unused = set(positions.values()), [], []
        ranked: dict[str, list[tuple[int, int]]] = {}
        for place, name in enumerate(names):
            if place in taken or _is_unnamed(name):
                continue
            field, rank = self._ranks.get(name_key(name), ("", 0))
            if not field:
                unknown.append(name)
            elif field in self.mapping:
                unused.append(name)
            else:
                ranked.setdefault(field, []).append((rank, place))
        for field, places in ranked.items():
            best = min(places)[0]
            first, *more = [place for rank, place in places if rank == best]
            if more:
                twice = ", ".join(names[place] for place in (first, *more))
                raise InvalidRequest(
                    f"The file has the column {field} twice ({twice[:300]}); choose one with columns={field}:NAME."
                )
            positions[field] = first
            unused += [names[place] for rank, place in places if rank != best]
        return Resolved(positions, unknown, unused)
