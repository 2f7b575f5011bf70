"""Events of all dialects as reports of ``shared/domain/order_events.py``.

Names of events are those that files of histories use too (``shared/tables/values.py``). An event that Aisle does not
know becomes a ``custom`` event with its name and properties. An event about several products is one report per product,
each with an id derived from the event's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import uuid5

import orjson

from shared.domain.events import EVENT_ID_NAMESPACE, EventType
from shared.tables.values import event_type_of

Report = dict[str, Any]
MAX_ID_CHARACTERS: Final = 120
# of a custom event's properties, so that its metadata stay within MAX_METADATA_BYTES with its name
MAX_PROPERTY_BYTES: Final = 3_500
MAX_NAME_CHARACTERS: Final = 255
# of a quantity that is text; Python refuses to read thousands of digits
MAX_DIGITS: Final = 18


class Product(NamedTuple):
    """A product of an event as its sender names it. Validation of the report refuses invalid values of every field.

    ``product_id`` is Aisle's id, which is another product's than the same digits as the shop's own ``external_id``.
    """

    external_id: str | None
    quantity: Any = None
    price: float | None = None
    product_id: int | str | None = None

    def ids(self) -> dict[str, Any]:
        """Return the fields of a report that name the product."""
        own = {} if self.product_id is None else {"product_id": self.product_id}
        return own if self.external_id is None else {"external_id": self.external_id} | own


@dataclass(frozen=True)
class Incoming:
    """An event of another collector: its name, what all its reports share, and what only some types need.

    ``shared`` are fields of reports: user_id, event_id, timestamp, sent_at, session_id.
    """

    name: str
    shared: Mapping[str, Any]
    products: Sequence[Product] = ()
    order_id: str | None = None
    query: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


def reports_of(event: Incoming) -> list[Report]:
    """Return the reports of an event: at least one."""
    kind = event_type_of(event.name, {})
    shared = {name: value for name, value in event.shared.items() if value is not None}
    if kind is EventType.REFUND and event.order_id is not None:
        lines = list(_added_up(event.products))
        return [shared | {"event_type": "refund", "order_id": event.order_id} | ({"lines": lines} if lines else {})]
    if kind is EventType.PURCHASE and event.order_id is not None:
        lines = [
            product.ids()
            | {"quantity": product.quantity or 1}
            | ({} if product.price is None else {"price": product.price})
            for product in event.products
        ]
        return [shared | {"event_type": "order", "order_id": event.order_id, "lines": lines}]
    if kind is EventType.SEARCH:
        return [shared | {"event_type": "search", "metadata": {"query": event.query or ""}}]
    if kind in (None, EventType.REFUND, EventType.CUSTOM, EventType.SEARCH) or not event.products:
        return [shared | {"event_type": "custom", "metadata": custom_facts(event.name, event.properties)}]
    return [
        shared
        | {"event_type": kind.value}
        | product.ids()
        | (
            {"event_id": part_id(str(shared["event_id"]), position)}
            if len(event.products) > 1 and "event_id" in shared
            else {}
        )
        | ({} if product.quantity is None or kind is EventType.VIEW else {"metadata": {"quantity": product.quantity}})
        for position, product in enumerate(event.products)
    ]


def custom_facts(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a custom event; properties that are too long are left out, and ``truncated`` says so."""
    facts: dict[str, Any] = {"name": name[:MAX_NAME_CHARACTERS]}
    if not properties:
        return facts
    try:
        size = len(orjson.dumps(properties))
    except orjson.JSONEncodeError:
        size = MAX_PROPERTY_BYTES + 1
    return facts | ({"properties": dict(properties)} if size <= MAX_PROPERTY_BYTES else {"truncated": True})


def _added_up(products: Iterable[Product]) -> Iterable[dict[str, Any]]:
    """Yield the lines of a refund, each product once. Without a quantity, all pieces of the product are refunded."""
    pieces: dict[tuple[str | None, int | str | None], Any] = {}
    named: dict[tuple[str | None, int | str | None], dict[str, Any]] = {}
    for product in products:
        key = (product.external_id, product.product_id)
        known = pieces.get(key)
        if key not in pieces:
            pieces[key], named[key] = product.quantity, product.ids()
        elif isinstance(known, int) and isinstance(product.quantity, int):
            pieces[key] = known + product.quantity
        else:
            pieces[key] = None
    for key, quantity in pieces.items():
        yield named[key] | ({} if quantity is None else {"quantity": quantity})


def part_id(event_id: str, position: int) -> str:
    """Return the id of a part of an event."""
    if len(event_id) > MAX_ID_CHARACTERS:
        # JSON may have half a character, which has no bytes
        event_id = str(uuid5(EVENT_ID_NAMESPACE, event_id.encode("utf-8", "replace").decode()))
    return f"{event_id}/{position}"


def content_id(user_id: str | None, content: Mapping[str, Any]) -> str:
    """Return an id derived from an event's content, so that an event without an id counts once if it is sent again."""
    # orjson refuses what a body may have: integers of more than 64 bits, and half a character
    return str(uuid5(EVENT_ID_NAMESPACE, json.dumps([user_id, content], sort_keys=True)))


def text(value: Any) -> str | None:
    """Return an id or name as text; None if it is empty, or neither text nor an integer."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def first_text(source: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these members that is an id or name; None if none is."""
    return next((found for name in names if (found := text(source.get(name))) is not None), None)


def pieces(value: Any) -> Any:
    """Return a quantity, which some senders write as text. An invalid value is returned unchanged, for validation."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    is_number = isinstance(value, str) and len(value) <= MAX_DIGITS and value.isascii() and value.isdigit()
    return int(value) if is_number else value


def amount(value: Any) -> float | None:
    """Return a price, which some senders write as text; None for an invalid value."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the JSON objects of a list."""
    return [member for member in value if isinstance(member, dict)] if isinstance(value, list) else []
