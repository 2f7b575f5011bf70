"""A small shop in which product n costs n and has a stock of five, and its shoppers."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from shared.clients.postgres import read, write
from shared.payments import fake
from tests.integration.conftest import Serve
from tests.integration.shop import add_products
from tests.integration.tables import table_contents

_keys = itertools.count(1)


@pytest.fixture
def shop(env: dict[str, str]) -> None:
    """Ten products with a stock of five each, in a database of the test's own."""
    add_products(10)
    fake.ledger.charged.clear()


@pytest.fixture
def client(shop: None, serve: Serve) -> httpx.Client:
    """The cart function over the test's own shop."""
    return serve("cart")


class Shopper:
    """A guest who shops by user id."""

    def __init__(self, client: httpx.Client, user_id: str) -> None:
        self.client, self.user_id = client, user_id

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        params = {"user_id": self.user_id} | options.pop("params", {})
        return self.client.request(method, path, params=params, **options)

    def add(self, product_id: int, quantity: int = 1) -> httpx.Response:
        return self.ask("POST", "/cart/items", json={"product_id": product_id, "quantity": quantity})

    def cart(self) -> dict[str, Any]:
        body: dict[str, Any] = self.ask("GET", "/cart").json()
        return body

    def in_cart(self) -> dict[int, int]:
        """Return quantities by product id."""
        return {item["product"]["id"]: item["quantity"] for item in self.cart()["items"]}

    def check_out(self, key: str | None = None, **body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key or f"key-{next(_keys)}"}
        return self.ask("POST", "/cart/checkout", json=body, headers=headers)

    def orders(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.ask("GET", "/orders").json()["orders"]
        return listed


@pytest.fixture
def ann(client: httpx.Client) -> Shopper:
    """A shopper."""
    return Shopper(client, "ann")


@pytest.fixture
def bob(client: httpx.Client) -> Shopper:
    """Another shopper."""
    return Shopper(client, "bob")


def stock(product_id: int) -> int:
    return int(read("SELECT quantity FROM products WHERE id = :id", id=product_id)[0][0])


def set_stock(product_id: int, quantity: int) -> None:
    write("UPDATE products SET quantity = :quantity WHERE id = :id", id=product_id, quantity=quantity)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and slug of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:aisle:problem:")


def outbox_events(event_types: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return the user events in the outbox with their user, oldest first: those of the given types, or all."""
    events = []
    for (data,) in read("SELECT data FROM outbox WHERE topic = 'user-events' ORDER BY id"):
        message = orjson.loads(bytes(data))
        events += [event | {"user_id": message["user_id"]} for event in message["events"]]
    return [event for event in events if not event_types or event["event_type"] in event_types]


def state() -> list[str]:
    """Return everything that a shopper can change: a refused request must leave it unchanged."""
    return table_contents("products", "cart_items", "orders", "order_items", "payments", "wishlist_items", "outbox")


def order_states() -> list[tuple[str, str]]:
    rows = read("SELECT o.state, y.state FROM orders o JOIN payments y ON y.order_id = o.id ORDER BY o.created_at")
    return [tuple(row) for row in rows]


KILLED = """
import os, signal, sys
from shared.domain.orders import checkout_id
from shared.http.idempotency import fingerprint
from functions.cart import checkout
from functions.cart.schemas import CheckoutRequest
from shared.storage.events import outbox

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

# it is killed before the charge, after the charge, or after the commit
if sys.argv[1] == "before":
    checkout._charge = die
elif sys.argv[1] == "after":
    checkout._paid = die
else:
    outbox.publish_now = lambda ids, **_: die() if ids else None
checkout.place_order("ann", CheckoutRequest(), "k")
"""


def check_out_and_be_killed(moment: str, env: dict[str, str], repository: Path) -> None:
    """Check out ann's cart with the key ``k`` in a process that is killed: ``before`` or ``after`` it was charged, or
    once everything is ``committed``.
    """
    process = subprocess.run(
        [sys.executable, "-c", KILLED, moment], cwd=repository, env=os.environ | env, check=False, timeout=60
    )
    assert process.returncode == -signal.SIGKILL
