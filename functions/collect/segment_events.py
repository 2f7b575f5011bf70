"""Segment's tracking API: the calls of its libraries as reports.

https://segment.com/docs/connections/spec/ecommerce/v2/ names the events and their properties.
"""

from collections.abc import Mapping
from typing import Any, Final

from functions.collect.translation import (
    Incoming,
    Product,
    Report,
    amount,
    custom_facts,
    first_text,
    mapping,
    objects,
    pieces,
    reports_of,
)

# the paths of Segment's libraries; its browser library uses the short ones
CALLS: Final[Mapping[str, str]] = {
    "track": "track",
    "t": "track",
    "identify": "identify",
    "i": "identify",
    "page": "page",
    "p": "page",
    "screen": "screen",
    "s": "screen",
    "alias": "alias",
    "a": "alias",
    "group": "group",
    "g": "group",
}


def user_of(message: Mapping[str, Any]) -> str | None:
    """Return the user's id, else the id of the anonymous visitor; None if the message has neither."""
    return first_text(message, "userId", "anonymousId")


def merge_of(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the ids that a message joins, ``(from, to)``; None if it joins none."""
    known = first_text(message, "userId")
    kind = message.get("type")
    other = first_text(message, "previousId" if kind == "alias" else "anonymousId")
    if kind not in ("alias", "identify") or known is None or other is None or known == other:
        return None
    return other, known


def reports(message: Mapping[str, Any], sent_at: Any = None) -> list[Report]:
    """Return the reports of a message; ``type`` says which call it is. ``sent_at`` is that of its batch."""
    shared = {
        "user_id": user_of(message),
        "event_id": first_text(message, "messageId"),
        "timestamp": message.get("timestamp") or message.get("originalTimestamp"),
        "sent_at": message.get("sentAt") or sent_at,
    }
    kind = first_text(message, "type") or "track"
    properties = mapping(message.get("properties"))
    if kind == "track":
        return reports_of(
            Incoming(
                first_text(message, "event") or "",
                shared,
                _products(properties),
                first_text(properties, "order_id", "orderId"),
                first_text(properties, "query"),
                properties,
            )
        )
    # traits of a person are not needed, so they are not kept
    facts: dict[str, Any] = {}
    if kind in ("page", "screen"):
        facts = {"page": first_text(message, "name"), "url": first_text(properties, "url")}
    elif kind == "alias":
        facts = {"previous_id": first_text(message, "previousId")}
    elif kind == "identify":
        facts = {"anonymous_id": first_text(message, "anonymousId")}
    elif kind == "group":
        facts = {"group_id": first_text(message, "groupId")}
    known = {name: value for name, value in facts.items() if value is not None}
    present = {name: value for name, value in shared.items() if value is not None}
    return [present | {"event_type": "custom", "metadata": custom_facts(kind, known)}]


def _products(properties: dict[str, Any]) -> list[Product]:
    listed = objects(properties.get("products"))
    found = []
    for product in listed or [properties]:
        external_id = first_text(product, "product_id", "productId", "sku")
        if external_id is not None:
            found.append(Product(external_id, pieces(product.get("quantity")), amount(product.get("price"))))
        elif listed:
            # an order must not lose a line in silence
            found.append(Product("", pieces(product.get("quantity")), amount(product.get("price"))))
    return found
