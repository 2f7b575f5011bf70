"""Events of a storefront's own ``/track`` call: one object, under the usual names of its fields."""

from collections.abc import Mapping
from typing import Any, Final

from functions.collect.translation import (
    Incoming,
    Product,
    Report,
    amount,
    first_text,
    mapping,
    objects,
    pieces,
    reports_of,
)

# the shop's own id of a product, in the words of the API and of others
_OWN_IDS: Final = ("external_id", "externalId")
_NAMES: Final = (*_OWN_IDS, "product_id", "productId", "item_id", "itemId", "sku")


def reports(body: Mapping[str, Any]) -> list[Report]:
    """Return the reports of an event, whose facts are its own members or those of ``properties``, as in Segment."""
    properties = mapping(body.get("properties")) or mapping(body.get("metadata"))
    facts = properties | {name: value for name, value in body.items() if name not in ("properties", "metadata")}
    shared = {
        "user_id": first_text(body, "user_id", "userId", "visitor_id", "visitorId", "anonymous_id", "anonymousId"),
        "event_id": first_text(body, "event_id", "eventId", "message_id", "messageId", "id"),
        "timestamp": body.get("timestamp") or body.get("originalTimestamp"),
        "sent_at": body.get("sent_at") or body.get("sentAt"),
        "session_id": first_text(body, "session_id", "sessionId"),
    }
    listed = objects(facts.get("products"))
    named = [(product, *_ids(product)) for product in listed or [facts]]
    products = [
        Product(external_id, pieces(product.get("quantity")), amount(product.get("price")), number)
        for product, external_id, number in named
        if listed or external_id or number is not None
    ]
    return reports_of(
        Incoming(
            first_text(body, "event_type", "eventType", "event", "type", "action") or "",
            shared,
            products,
            first_text(facts, "order_id", "orderId"),
            first_text(facts, "query", "search"),
            properties,
        )
    )


def _ids(product: Mapping[str, Any]) -> tuple[str | None, int | str | None]:
    """Return the shop's own id of a product and Aisle's, which is a number; empty text and None if it has neither.

    Beside a number only an ``external_id`` is read: other names may hold ids of another system. A ``product_id`` that
    is neither text nor a whole number, and stands alone, is returned as text, which validation of the report refuses.
    """
    invalid: str | None = None
    for named in (product.get("product_id"), product.get("productId")):
        # JSON has one type of numbers, and some libraries write 3.0 for 3
        number = int(named) if isinstance(named, float) and named.is_integer() else named
        if isinstance(number, int) and not isinstance(number, bool):
            return first_text(product, *_OWN_IDS), number
        if named is not None and not isinstance(named, str):
            invalid = str(named)
    # an order must not lose a line in silence, so a product without an id is a line too
    external_id = first_text(product, *_NAMES)
    return (None, invalid) if invalid and not external_id else (external_id or "", None)
