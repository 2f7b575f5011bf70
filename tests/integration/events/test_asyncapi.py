"""The messages that POST /events publishes follow docs/asyncapi.yaml."""

from collections.abc import Callable
from typing import Any

import orjson

from tests.integration.conftest import Serve
from tests.unit.test_asyncapi import problems


def test_published_messages_are_valid(
    env: dict[str, str], serve: Serve, messages: Callable[[str], Callable[..., list[Any]]]
) -> None:
    take = messages("user-events")
    client = serve("events")
    view = {"user_id": "ada", "product_id": 1, "event_type": "view"}
    purchase = view | {"event_type": "purchase", "metadata": {"quantity": 2}, "session_id": "s"}
    search = {"user_id": "ada", "event_type": "search", "timestamp": "2026-01-31T12:00:00Z"}
    assert client.post("/events", json=view).status_code == 202
    assert client.post("/events/batch", json={"events": [purchase, search]}).json()["accepted"] == 2
    published = take(2)
    assert sorted(message.attributes["has_purchase"] for message in published) == ["false", "true"]
    for message in published:
        assert problems("userEvents", "payload", orjson.loads(message.data)) == []
        assert problems("userEvents", "headers", dict(message.attributes)) == []
