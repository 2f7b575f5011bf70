"""Purchases that arrive late: the last purchase stays the last."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_products, now

OLD = timedelta(days=40)


@pytest.fixture
def client(env: object, serve: Serve) -> httpx.Client:
    add_products(3)
    return serve("update_preferences")


def purchases(user: str) -> list[tuple[Any, ...]]:
    """Return product, number, and the ages of the first and the last purchase."""
    rows = postgres.read(
        """SELECT b.product_id, b.purchase_count, b.first_at, b.last_at
           FROM user_purchases b JOIN users u ON u.id = b.user_id WHERE u.external_id = :user ORDER BY 1""",
        user=user,
    )
    return [(row[0], row[1], now() - row[2], now() - row[3]) for row in rows]


@pytest.mark.parametrize("order", [(timedelta(0), OLD), (OLD, timedelta(0))])
def test_first_and_last_purchase_do_not_depend_on_the_order_of_arrival(
    client: httpx.Client, order: tuple[timedelta, timedelta]
) -> None:
    assert deliver(client, "u2", event(1, "purchase", ago=timedelta(days=7))).status_code == 200
    for ago in order:
        assert deliver(client, "u1", event(1, "purchase", ago=ago)).status_code == 200
    assert purchases("u1") == [(1, 2, OLD, timedelta(0))]
    assert purchases("u2") == [(1, 1, timedelta(days=7), timedelta(days=7))]


def test_what_is_due_counts_from_the_last_purchase(client: httpx.Client, serve: Serve) -> None:
    for ago in (timedelta(days=2), OLD):
        assert deliver(client, "u1", event(1, "purchase", ago=ago)).status_code == 200
    (product,) = serve("recommendations").get("/buy-again?user_id=u1").json()["products"]
    assert product["last_purchased_at"].startswith((now() - timedelta(days=2)).isoformat()[:19])
    assert product["purchase_count"] == 2
