"""Google Cloud Retail (Vertex AI Search for commerce): its user events as reports.

https://cloud.google.com/retail/docs/reference/rest/v2/projects.locations.catalogs.userEvents names the fields.
"""

from collections.abc import Mapping
from typing import Any

from functions.collect.translation import (
    Incoming,
    Product,
    Report,
    amount,
    content_id,
    first_text,
    mapping,
    objects,
    pieces,
    reports_of,
)


def reports(event: Mapping[str, Any]) -> list[Report]:
    """Return the reports of a user event. Without a time it has no id of its own."""
    at = first_text(event, "eventTime")
    user_id = first_text(mapping(event.get("userInfo")), "userId") or first_text(event, "visitorId")
    shared = {
        "user_id": user_id,
        "event_id": None if at is None else content_id(user_id, event),
        "timestamp": at,
        "session_id": first_text(event, "sessionId"),
    }
    return reports_of(
        Incoming(
            first_text(event, "eventType") or "",
            shared,
            [_product(detail) for detail in objects(event.get("productDetails"))],
            first_text(mapping(event.get("purchaseTransaction")), "id"),
            first_text(event, "searchQuery"),
            {name: event[name] for name in ("attributes", "cartId", "uri", "pageCategories") if name in event},
        )
    )


def _product(detail: Mapping[str, Any]) -> Product:
    product = mapping(detail.get("product"))
    name = first_text(product, "id") or (first_text(product, "name") or "").rpartition("/")[2]
    return Product(name, pieces(detail.get("quantity")), amount(mapping(product.get("priceInfo")).get("price")))
