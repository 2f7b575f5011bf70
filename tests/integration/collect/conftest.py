"""A shop behind one address, with a key of each kind, and what its events do."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from shared.clients import postgres
from shared.manifest import manifest
from tests.integration.conftest import Environment, Messages, Serve, Server
from tests.integration.deliveries import push
from tests.integration.people import ADMIN
from tests.integration.shop import add_products
from tests.run_logs import RunLogs

Store = Callable[[int], None]


@pytest.fixture
def shop(env: Environment, run_logs: RunLogs) -> Iterator[httpx.Client]:
    """Every function behind one address, over ten products whose own ids are SKU1 to SKU10."""
    from local.apps import create
    from local.gateway import gateway

    add_products(10)
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [run_logs.remember]}
    with (
        Server(gateway(manifest(), create)) as server,
        httpx.Client(base_url=server.url, timeout=30, event_hooks=hooks) as client,
    ):
        yield client


def make_key(shop: httpx.Client, kind: str) -> str:
    answer = shop.post("/admin/api-keys", json={"kind": kind, "name": kind}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    key: str = answer.json()["key"]
    return key


@pytest.fixture
def publishable(shop: httpx.Client) -> str:
    """A write key."""
    return make_key(shop, "publishable")


@pytest.fixture
def secret(shop: httpx.Client) -> str:
    """A key of the shop's server."""
    return make_key(shop, "secret")


@pytest.fixture
def store(shop: httpx.Client, serve: Serve, messages: Messages) -> Store:
    """Returns a function that lets the published messages, at least ``expected``, take effect."""
    functions = [serve("update_preferences"), serve("update_popularity")]
    take = messages("user-events")

    def apply(expected: int) -> None:
        for message in take(expected):
            for function in functions:
                assert push(function, message.data, dict(message.attributes)).status_code == 200

    return apply


def stored(user_id: str | None = None) -> list[tuple[Any, ...]]:
    """Return user, type, product and quantity of the stored events, or those of one user without the name."""
    rows = postgres.read(
        """SELECT u.external_id, e.event_type, p.external_id, e.quantity FROM events e JOIN users u ON u.id = e.user_id
           LEFT JOIN products p ON p.id = e.product_id ORDER BY 1, 2, 3, 4"""
    )
    if user_id is None:
        return [tuple(row) for row in rows]
    return [tuple(row)[1:] for row in rows if row[0] == user_id]


def metadata(event_type: str) -> list[Any]:
    """Return the metadata of stored events of a type."""
    rows = postgres.read("SELECT metadata FROM events WHERE event_type = :type ORDER BY event_id", type=event_type)
    return sorted((row[0] for row in rows), key=orjson.dumps)
