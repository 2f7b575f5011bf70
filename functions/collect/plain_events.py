"""Events of a storefront's own ``/track`` call: one flat object, under the usual names of its fields."""

from collections.abc import Mapping
from typing import Any

from functions.collect.translation import Incoming, Product, Report, amount, first_text, mapping, pieces, reports_of


def reports(body: Mapping[str, Any]) -> list[Report]:
    """Return the reports of an event."""
    properties = mapping(body.get("properties")) or mapping(body.get("metadata"))
    facts = properties | {name: value for name, value in body.items() if name not in ("properties", "metadata")}
    shared = {
        "user_id": first_text(body, "user_id", "userId", "visitor_id", "visitorId", "anonymous_id", "anonymousId"),
        "event_id": first_text(body, "event_id", "eventId", "message_id", "messageId", "id"),
        "timestamp": body.get("timestamp"),
        "sent_at": body.get("sent_at") or body.get("sentAt"),
        "session_id": first_text(body, "session_id", "sessionId"),
    }
    product = first_text(facts, "external_id", "product_id", "productId", "item_id", "itemId", "sku")
    products = [] if product is None else [Product(product, pieces(facts.get("quantity")), amount(facts.get("price")))]
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
    number = facts.get("product_id", facts.get("productId"))
    if isinstance(number, int) and not isinstance(number, bool):
        for report in found:
            for named in (report, *report.get("lines", ())):
                if named.pop("external_id", None) is not None:
                    named["product_id"] = number
    return found
