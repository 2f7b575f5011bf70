"""A small shop for tests, and deliveries as Eventarc makes them."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson

from shared import messages
from shared.clients import postgres
from shared.domain.events import uuid7

NOW = datetime.now(UTC).replace(microsecond=0)


def add_products(count: int = 10, categories: Sequence[str] = ("Candles", "Bags")) -> None:
    """Add products 1 to ``count``; product n costs n and is in the category of n modulo their number."""
    postgres.write("INSERT INTO categories (name) SELECT unnest(cast(:names AS text[]))", names=list(categories))
    postgres.write(
        """INSERT INTO products (id, external_id, name, price, category_id, brand, tags, quantity)
           SELECT n, 'SKU' || n, 'Product ' || n, n, c.id, 'Brand ' || mod(n, 3), ARRAY['tag' || mod(n, 4)], 5
           FROM generate_series(1, :count) AS n
           JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM categories) AS c
               ON c.place = mod(n, :categories)""",
        count=count,
        categories=len(categories),
    )
    postgres.write("SELECT setval(pg_get_serial_sequence('products', 'id'), :count)", count=count)


def add_model(neighbours: dict[int, dict[int, float]], parameters: dict[str, Any] | None = None) -> int:
    """Publish and activate a model with these neighbours; returns its version."""
    postgres.write("UPDATE models SET active = false")
    row = postgres.write(
        """INSERT INTO models (algorithm, parameters, active)
           VALUES ('test', cast(:parameters AS jsonb), true) RETURNING version""",
        parameters=orjson.dumps(parameters or {}).decode(),
    )[0]
    version = int(row[0])
    postgres.write(f"CREATE TABLE item_similarity_v{version} PARTITION OF item_similarity FOR VALUES IN ({version})")
    for product_id, scores in neighbours.items():
        ordered = sorted(scores.items(), key=lambda pair: -pair[1])
        postgres.write(
            "INSERT INTO item_similarity VALUES (:version, :id, :neighbours, cast(:scores AS real[]), :counts)",
            version=version,
            id=product_id,
            neighbours=[one for one, _ in ordered],
            scores=[score for _, score in ordered],
            counts=[2] * len(ordered),
        )
    return version


def event(
    product_id: int | None, event_type: str = "view", *, ago: timedelta = timedelta(0), **more: Any
) -> dict[str, Any]:
    """Return an event as it travels in a message."""
    return {
        "event_id": str(uuid7()),
        "product_id": product_id,
        "event_type": event_type,
        "timestamp": (NOW - ago).isoformat(),
        "session_id": None,
        "metadata": None,
    } | more


def deliver(
    client: httpx.Client, user_id: str, *events: dict[str, Any], message_id: str | None = None
) -> httpx.Response:
    """Deliver a ``user-events`` message to an event function."""
    return push(client, *messages.user_events(user_id, events), message_id=message_id)


def push(
    client: httpx.Client, data: bytes, attributes: dict[str, str], *, message_id: str | None = None
) -> httpx.Response:
    """Deliver a message as Eventarc does: a CloudEvent in binary mode around Pub/Sub's envelope."""
    message_id = message_id or str(uuid7())
    headers = {
        "ce-id": message_id,
        "ce-specversion": "1.0",
        "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
        "content-type": "application/json",
    }
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": message_id}
    return client.post("/", content=orjson.dumps({"message": message, "subscription": "s"}), headers=headers)
