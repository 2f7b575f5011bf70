"""The checker on a real database: silent about what the functions stored, and awake to what is taken from it."""

from collections.abc import Callable

import httpx
import pytest

from local import postgres
from local.chaos import checker, snapshot
from local.chaos.record import Accepted
from shared import messages
from shared.clients.postgres import read, write
from tests.integration.conftest import Running, Serve
from tests.integration.deliveries import deliver, event, push
from tests.integration.shop import add_products

Check = Callable[[], list[checker.Finding]]


@pytest.fixture
def check(env: dict[str, str], services: Running, serve: Serve) -> Check:
    """Return what checks a shop with two users' events and an order, all of which were accepted."""
    add_products()
    write("UPDATE products SET quantity = 50")
    stock = {row[0]: row[1] for row in read("SELECT id, quantity FROM products")}
    accepted = Accepted()
    functions = [serve("update_preferences"), serve("update_popularity")]
    for user, kind, product in (("ann", "view", 1), ("ann", "purchase", 1), ("bob", "view", 2)):
        sent = event(product, kind)
        for function in functions:
            assert deliver(function, user, sent).status_code == 200
        fields = {"event_id": sent["event_id"], "user_id": user, "product_id": product, "event_type": kind}
        accepted.add("sent_event", fields)
        accepted.add("event", fields)
    cart = serve("cart")
    accepted.add("sent_order", {"user_id": "buyer", "product_id": 2, "quantity": 3})
    query = {"user_id": "buyer"}
    assert cart.post("/cart/items", params=query, json={"product_id": 2, "quantity": 3}).status_code == 201
    order = cart.post("/cart/checkout", params=query, json={}, headers={"Idempotency-Key": "k"})
    assert order.status_code == 201
    accepted.add("order", {"user_id": "buyer", "order_id": order.json()["id"]})
    deliver_published(functions)

    def check() -> list[checker.Finding]:
        database = env["DATABASE_URL"].rpartition("/")[2]
        with postgres.connection(services.postgres.port or 0, services.password, database) as connection:
            return checker.check(accepted, snapshot.take(connection), stock)

    return check


def deliver_published(functions: list[httpx.Client]) -> None:
    """Deliver what the checkout put into the outbox."""
    for topic, data, attributes in read("SELECT topic, data, attributes FROM outbox ORDER BY id"):
        if topic == messages.USER_EVENTS:
            for function in functions:
                assert push(function, bytes(data), attributes).status_code == 200


def test_what_the_functions_stored_is_in_order(check: Check) -> None:
    assert check() == []


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("DELETE FROM events WHERE event_type = 'view'", "lost"),
        ("DELETE FROM orders", "lost"),
        ("UPDATE orders SET state = 'placed'", "lost"),
        ("UPDATE products SET quantity = quantity - 1 WHERE id = 1", "doubled"),
        ("UPDATE products SET quantity = quantity + 1 WHERE id = 2", "lost"),
        ("UPDATE product_stats SET views = views + 1 WHERE product_id = 2", "doubled"),
        ("UPDATE product_stats SET purchase_count = 0", "lost"),
        ("UPDATE event_counts_hourly SET event_count = event_count + 1", "doubled"),
        ("DELETE FROM user_purchases", "lost"),
        ("UPDATE user_preferences SET score = score * 2", "doubled"),
        ("UPDATE user_price_bands SET log_sum = log_sum * 2", "doubled"),
        ("DELETE FROM user_price_bands", "lost"),
        ("DELETE FROM event_ids", "lost"),
        ("UPDATE outbox SET published_at = NULL", "lost"),
    ],
)
def test_what_is_taken_or_added_by_hand_is_found(check: Check, statement: str, kind: str) -> None:
    assert check() == []
    write(statement)
    assert kind in {finding.kind for finding in check()}
