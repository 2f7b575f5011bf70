"""After a checkout: purchases count once despite crashes and repetitions, and sold-out products disappear."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.clients.postgres import read, write
from tests.integration.cart.conftest import Shopper, check_out_and_be_killed, order_states
from tests.integration.conftest import Messages, Serve
from tests.integration.deliveries import push
from tests.integration.people import ADMIN


@pytest.fixture
def subscribers(shop: None, serve: Serve) -> Callable[[list[Any]], None]:
    """Returns a function that delivers messages of user-events to both of their subscribers."""
    functions = [serve("update_preferences"), serve("update_popularity")]

    def deliver(messages: list[Any]) -> None:
        for message in messages:
            for function in functions:
                assert push(function, message.data, dict(message.attributes)).status_code == 200

    return deliver


def counted() -> dict[int, tuple[int, int]]:
    """Return by product id: its purchases, and the sum of its users' purchases."""
    rows = read("""SELECT p.id, coalesce(s.purchase_count, 0), coalesce((
                       SELECT sum(u.purchase_count) FROM user_purchases u WHERE u.product_id = p.id), 0)
                   FROM products p LEFT JOIN product_stats s ON s.product_id = p.id""")
    return {int(row[0]): (int(row[1]), int(row[2])) for row in rows if row[1] or row[2]}


def test_a_purchase_counts_once_however_often_it_is_reported(
    ann: Shopper, serve: Serve, messages: Messages, subscribers: Callable[[list[Any]], None]
) -> None:
    ann.add(1, 3)
    ann.add(2)
    take = messages("user-events")
    order = ann.check_out().json()
    (message,) = take()
    assert dict(message.attributes)["has_purchase"] == "true"
    # delivered twice, and reported by the storefront too, by the id that the order shows
    subscribers([message, message])
    events = serve("events")
    for item in order["items"]:
        body = {
            "user_id": "ann",
            "product_id": item["product_id"],
            "event_type": "purchase",
            "event_id": item["event_id"],
        }
        assert events.post("/events", json=body).status_code == 202
    subscribers(take(expected=2))
    assert counted() == {1: (1, 1), 2: (1, 1)}
    answer = serve("recommendations").get("/buy-again", params={"user_id": "ann"})
    assert answer.status_code == 200
    assert {product["id"] for product in answer.json()["products"]} == {1, 2}
    assert [tuple(row) for row in read("SELECT product_id, quantity FROM events ORDER BY 1")] == [(1, 3), (2, 1)]


def test_a_checkout_committed_by_a_killed_process_counts_once(
    ann: Shopper,
    serve: Serve,
    messages: Messages,
    subscribers: Callable[[list[Any]], None],
    env: dict[str, str],
    repository: Path,
) -> None:
    ann.add(1, 2)
    take = messages("user-events")
    check_out_and_be_killed("committed", env, repository)
    assert order_states() == [("paid", "approved")]
    assert take(timeout_s=0.5) == []
    write("UPDATE outbox SET created_at = created_at - interval '1 minute'")
    job = serve("publish_outbox")
    assert job.post("/", json={}).json()["published"] == 1
    subscribers(take())
    # the shopper, who saw no answer, asks again
    answer = ann.check_out("k")
    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (201, "true")
    assert job.post("/", json={}).json()["published"] == 0
    assert take(timeout_s=0.5) == []
    assert counted() == {1: (1, 1)}


def test_a_product_that_sells_out_is_gone_from_answers_with_in_stock(
    ann: Shopper, serve: Serve, messages: Messages
) -> None:
    products, recommendations, refresh = serve("products"), serve("recommendations"), serve("refresh_catalog")
    assert serve("popular").post("/", json={}).status_code == 200

    def in_stock() -> set[int]:
        listed = products.get("/products", params={"in_stock": "true", "page_size": 100}).json()["products"]
        return {product["id"] for product in listed}

    def quantity(product_id: int) -> int:
        return int(products.get(f"/products/{product_id}").json()["quantity"])

    def popular() -> dict[int, int]:
        listed = recommendations.get("/popular").json()["products"]
        return {product["id"]: product["quantity"] for product in listed}

    write("INSERT INTO product_stats (product_id, purchase_count) SELECT id, 10 FROM products")
    serve("popular").post("/", json={})
    assert (1 in in_stock(), quantity(1), quantity(2), popular()[1]) == (True, 5, 5, 5)
    take = messages("catalog-changes")
    ann.add(1, 5)
    ann.add(2)
    order = ann.check_out().json()
    assert (1 in in_stock(), 2 in in_stock()) == (False, True)
    assert (quantity(1), quantity(2)) == (0, 4)
    (message,) = take()
    assert push(refresh, message.data, dict(message.attributes)).status_code == 200
    assert popular()[1] == 0
    assert (
        serve("cart").post(f"/orders/{order['id']}/state", json={"state": "cancelled"}, headers=ADMIN).status_code
        == 200
    )
    assert (1 in in_stock(), quantity(1), quantity(2)) == (True, 5, 5)
    (message,) = take()
    assert push(refresh, message.data, dict(message.attributes)).status_code == 200
    assert popular()[1] == 5


def test_popular_follows_a_checkout(
    ann: Shopper, serve: Serve, messages: Messages, subscribers: Callable[[list[Any]], None]
) -> None:
    write("INSERT INTO product_stats (product_id, purchase_count) SELECT id, 0 FROM products")
    serve("popular").post("/", json={})
    take = messages("user-events")
    ann.add(7)
    ann.check_out()
    subscribers(take(expected=2))
    best = serve("recommendations").get("/popular", params={"k": 1}).json()["products"][0]
    assert (best["id"], best["score"]) == (7, 1)
