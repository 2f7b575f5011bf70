"""Events and messages as Pub/Sub delivers them to functions."""

import base64
from datetime import timedelta
from typing import Any

import httpx
import orjson

from shared import messages
from shared.domain.events import uuid7
from tests.integration.shop import now


def event(
    product_id: int | None, event_type: str = "view", *, ago: timedelta = timedelta(0), **more: Any
) -> dict[str, Any]:
    """Return an event as it travels in a message."""
    return {
        "event_id": str(uuid7()),
        "product_id": product_id,
        "event_type": event_type,
        "timestamp": (now() - ago).isoformat(),
        "session_id": None,
        "metadata": None,
    } | more


def deliver(
    client: httpx.Client, user_id: str, *events: dict[str, Any], message_id: str | None = None, **envelope: Any
) -> httpx.Response:
    """Deliver a ``user-events`` message to an event function; ``envelope`` is as of ``push``."""
    return push(client, *messages.user_events(user_id, events), message_id=message_id, **envelope)


def push(
    client: httpx.Client,
    data: bytes,
    attributes: dict[str, str],
    /,
    *,
    message_id: str | None = None,
    structured: bool = False,
    **envelope: Any,
) -> httpx.Response:
    """Deliver a message as Eventarc does: a CloudEvent around Pub/Sub's envelope.

    ``structured`` puts the attributes of the CloudEvent into the body instead of the headers. ``envelope`` replaces
    fields of Pub/Sub's message.
    """
    message_id = message_id or str(uuid7())
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": message_id} | envelope
    body: dict[str, Any] = {"message": message, "subscription": "s"}
    context = {
        "id": message_id,
        "specversion": "1.0",
        "source": "//pubsub.googleapis.com/projects/p/topics/t",
        "type": "google.cloud.pubsub.topic.v1.messagePublished",
    }
    if structured:
        headers = {"content-type": "application/cloudevents+json"}
        body = context | {"data": body}
    else:
        headers = {f"ce-{name}": value for name, value in context.items()}
        headers["content-type"] = "application/json"
    return client.post("/", content=orjson.dumps(body), headers=headers)


def deliver_catalog_change(
    client: httpx.Client, body: Any, schema: str = "catalog-changes/1", message_id: str = "m1", **envelope: Any
) -> httpx.Response:
    """Deliver a ``catalog-changes`` message, as a CloudEvent in structured mode; ``body`` is JSON or bytes."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return push(client, data, {"schema": schema}, message_id=message_id, structured=True, **envelope)
