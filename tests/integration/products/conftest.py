"""A small shop, and the functions that serve and refresh it."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.clients.postgres import read, transaction, write
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes

ADMIN = {"Authorization": "Bearer an-admin-token-for-tests"}

# (external_id, name, price, category, tags, quantity, purchases)
SHOP: list[tuple[str, str, float, str | None, list[str], int, int]] = [
    ("85123A", "White Hanging Heart T-Light Holder", 2.95, "Home > Candles", ["white", "heart"], 5, 900),
    ("H2", "Heart of Wicker, small", 1.65, "Home > Decoration", ["heart", "wicker"], 0, 700),
    ("H3", "Heart of Wicker, large", 2.95, "Home > Decoration", ["heart", "wicker"], 3, 300),
    ("HD", "Hard Case", 25.00, "Bags", ["black"], 7, 10),
    ("L1", "Paper Lantern", 4.99, "Garden", ["paper"], 9, 50),
    ("L2", "Metal Lantern with hearts", 5.00, "Garden", ["metal", "heart"], 9, 40),
    ("C1", "Christmas Tree Candle", 9.99, "Home > Candles", ["christmas"], 1, 30),
    ("C2", "Christmas Card", 0.99, "Stationery", ["christmas", "paper"], 100, 20),
    ("CA", "Café Crème Mug", 7.50, "Home > Kitchen", ["white"], 4, 15),
    ("D1", "Decorated Plate", 12.00, "Home > Kitchen", [], 4, 5),
    ("O1", "Onion Jar", 3.00, "Home > Kitchen", [], 4, 1),
    ("CD", "Cardigan", 3.10, "Clothes", [], 2, 500),
    ("SP", "Spare part of H2", 3.20, None, [], 1, 2),
    ("X 7/b", "Nameless thing", 1.00, None, [], 1, 0),
]


def fill() -> dict[str, int]:
    """Put the shop into the database and return the ids by ``external_id``."""
    rows = [
        ProductWrite.model_validate(
            {
                "external_id": code,
                "name": name,
                "price": price,
                "category": category,
                "tags": tags,
                "quantity": quantity,
            }
        )
        for code, name, price, category, tags, quantity, _purchases in SHOP
    ]
    with transaction() as connection:
        bulk_writes.upsert(connection, rows)
    write(
        """INSERT INTO product_stats (product_id, views, purchase_count)
           SELECT p.id, s.purchases * 3, s.purchases FROM products p
           JOIN unnest(cast(:codes AS text[]), cast(:purchases AS bigint[])) AS s(code, purchases)
               ON s.code = p.external_id
           ON CONFLICT (product_id) DO UPDATE SET views = EXCLUDED.views, purchase_count = EXCLUDED.purchase_count""",
        codes=[row[0] for row in SHOP],
        purchases=[row[6] for row in SHOP],
    )
    return {row[1]: row[0] for row in read("SELECT id, external_id FROM products")}


@pytest.fixture
def shop(env: dict[str, str]) -> dict[str, int]:
    """The shop in a database of the test's own: ids by ``external_id``."""
    return fill()


@pytest.fixture
def client(shop: dict[str, int], serve: Callable[[str], httpx.Client]) -> httpx.Client:
    """The products function over the test's own shop."""
    return serve("products")


@pytest.fixture
def admin(client: httpx.Client) -> httpx.Client:
    """The same with the admin's token."""
    client.headers.update(ADMIN)
    return client


@pytest.fixture
def deliver(serve: Callable[[str], httpx.Client]) -> Callable[..., httpx.Response]:
    """Returns ``deliver(body)``: gives refresh_catalog a message as Pub/Sub's push does."""
    function = serve("refresh_catalog")

    def send(body: Any, schema: str = "catalog-changes/1", message_id: str = "m1", **envelope: Any) -> httpx.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = {"data": base64.b64encode(data).decode(), "attributes": {"schema": schema}, "messageId": message_id}
        event = {
            "specversion": "1.0",
            "id": message_id,
            "source": "//pubsub.googleapis.com/projects/p/topics/catalog-changes",
            "type": "google.cloud.pubsub.topic.v1.messagePublished",
            "data": {"message": message | envelope},
        }
        headers = {"Content-Type": "application/cloudevents+json"}
        return function.post("/", content=json.dumps(event), headers=headers)

    return send


def catalog_state() -> Any:
    """Return everything that an admin write changes: what was refused must leave it as it was."""
    tables = ("products", "categories", "audit_log", "outbox", "idempotency_keys")
    return [read(f"SELECT coalesce(json_agg(t ORDER BY t::text), '[]')::text FROM {table} t")[0][0] for table in tables]
