"""Requests that name a user: the body, the required parameters and the path parameters of each route."""

import json
from collections.abc import Callable
from typing import Any

RETAIL = "/v2/projects/{project}/locations/{location}/catalogs/{catalog}/userEvents"


def call_of_segment(user: str) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "userId": user, "properties": {"product_id": "1"}}


def event_of_retail(user: str) -> dict[str, Any]:
    return {"eventType": "detail-page-view", "visitorId": user, "productDetails": [{"product": {"id": "1"}}]}


# the body names the user, and must be valid for the request to reach authorisation
BODIES: dict[str, Callable[[str], Any]] = {
    "/events": lambda user: {"user_id": user, "product_id": 1, "event_type": "view"},
    "/events/batch": lambda user: {"events": [{"user_id": user, "product_id": 1, "event_type": "view"}]},
    "/v1/batch": lambda user: {"batch": [call_of_segment(user)]},
    "/v1/{call}": call_of_segment,
    "/mp/collect": lambda user: {"client_id": user, "events": [{"name": "page_view"}]},
    f"{RETAIL}:write": event_of_retail,
    f"{RETAIL}:collect": event_of_retail,
    f"{RETAIL}:import": lambda user: {
        "inputConfig": {"userEventInlineSource": {"userEvents": [event_of_retail(user)]}}
    },
    "/track": lambda user: {"user_id": user, "product_id": 1, "event_type": "view"},
    "/users/merge": lambda user: {"from": user, "to": user},
}
FILLED = {
    "product_id": "1",
    "version": "1",
    "rule_id": "1",
    "name": "trending",
    "scope": "similar",
    "order_id": "1",
    "key_id": "0" * 12,
    "call": "track",
    "project": "p",
    "location": "global",
    "catalog": "default_catalog",
}


def needed_parameters(user: str) -> dict[str, str]:
    """Return a value for every query parameter that some route requires."""
    return {
        "product_id": "1",
        "external_id": "SKU1",
        "k": "1",
        "user_id": user,
        "userEvent": json.dumps(event_of_retail(user)),
    }
