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

_PRODUCT_NAMES: Final = ("external_id", "externalId", "product_id", "productId", "item_id", "itemId", "sku")


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
    named = [(product, first_text(product, *_PRODUCT_NAMES)) for product in listed or [facts]]
    products = [
        # an order must not lose a line in silence
        Product(product_id or "", pieces(product.get("quantity")), amount(product.get("price")))
        for product, product_id in named
        if listed or product_id is not None
    ]
    found = reports_of(
        Incoming(
            first_text(body, "event_type", "eventType", "event", "type", "action") or "",
            shared,
            products,
            first_text(facts, "order_id", "orderId"),
            first_text(facts, "query", "search"),
            properties,
        )
    )
    numbers = {str(number): number for product, _id in named if (number := _number(product)) is not None}
    for report in found:
        for line in (report, *report.get("lines", ())):
            if line.get("external_id") in numbers:
                line["product_id"] = numbers[line.pop("external_id")]
    return found


def _number(product: Mapping[str, Any]) -> int | None:
    """Return Aisle's id of a product, which is a number; None if the product has none."""
    number = product.get("product_id", product.get("productId"))
    return number if isinstance(number, int) and not isinstance(number, bool) else None
