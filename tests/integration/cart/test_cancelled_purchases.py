"""What was bought and given back: for the shopper's own answers it was not bought."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.clients.postgres import read
from tests.integration.cart.conftest import Shopper
from tests.integration.conftest import Messages, Serve
from tests.integration.deliveries import push
from tests.integration.jobs.test_popular import ranking
from tests.integration.people import ADMIN

Answers = Callable[..., tuple[set[int], dict[int, int]]]


@pytest.fixture
def buy(serve: Serve, messages: Messages) -> Callable[..., Any]:
    """Returns a function that buys products, and lets the purchases take effect."""
    functions = [serve("update_preferences"), serve("update_popularity")]

    def check_out(shopper: Shopper, *product_ids: int) -> str:
        for product_id in product_ids:
            assert shopper.add(product_id).status_code == 201
        take = messages("user-events")
        order = shopper.check_out().json()
        for message in take():
            for function in functions:
                assert push(function, message.data, dict(message.attributes)).status_code == 200
        order_id: str = order["id"]
        return order_id

    return check_out


@pytest.fixture
def answers(serve: Serve) -> Answers:
    """Returns a function that returns what is recommended to a user, and what they may buy again, how often bought."""
    client: httpx.Client = serve("recommendations")

    def of(user: str, k: int = 7) -> tuple[set[int], dict[int, int]]:
        # of ten products, by default so few that none has to return
        recommended = client.get("/recommendations", params={"user_id": user, "k": k}).json()["recommendations"]
        again = client.get("/buy-again", params={"user_id": user}).json()["products"]
        return (
            {product["id"] for product in recommended},
            {product["id"]: product["purchase_count"] for product in again},
        )

    return of


def test_a_cancelled_purchase_may_be_recommended_again(
    ann: Shopper, bob: Shopper, buy: Callable[..., str], answers: Answers, serve: Serve
) -> None:
    cancelled, other = buy(ann, 9, 10), buy(ann, 8)
    assert cancelled != other
    buy(bob, 9, 10)
    for user in ("ann", "bob"):
        recommended, again = answers(user)
        assert not {9, 10} & recommended
        assert again.keys() >= {9, 10}
    assert ann.ask("POST", f"/orders/{cancelled}/cancel").status_code == 200
    # as many as were not bought
    recommended, again = answers("ann", 9)
    assert {9, 10} <= recommended
    assert again == {8: 1}
    assert 8 not in recommended
    # the answers of others, and the shop's counters, are as before
    recommended, again = answers("bob")
    assert not {9, 10} & recommended
    assert again == {9: 1, 10: 1}
    assert read("SELECT purchase_count FROM product_stats WHERE product_id = 9")[0][0] == 2


def test_a_refund_by_staff_counts_alike(ann: Shopper, buy: Callable[..., str], answers: Answers) -> None:
    order = buy(ann, 9)
    for state in ("shipped", "refunded"):
        answer = ann.client.post(f"/orders/{order}/state", json={"state": state}, headers=ADMIN)
        assert answer.status_code == 200, answer.text
    recommended, again = answers("ann", 10)
    assert 9 in recommended
    assert again == {}


def test_what_was_bought_twice_and_cancelled_once_was_bought(
    ann: Shopper, buy: Callable[..., str], answers: Answers
) -> None:
    buy(ann, 9)
    second = buy(ann, 9)
    assert answers("ann")[1] == {9: 2}
    assert ann.ask("POST", f"/orders/{second}/cancel").status_code == 200
    recommended, again = answers("ann")
    assert 9 not in recommended
    assert again == {9: 1}


def test_an_order_that_was_never_paid_takes_nothing_back(
    ann: Shopper, buy: Callable[..., str], answers: Answers
) -> None:
    buy(ann, 9)
    ann.add(9)
    assert ann.check_out(payment_token="decline").status_code == 402
    recommended, again = answers("ann")
    assert 9 not in recommended
    assert again == {9: 1}


def test_cancelling_gives_the_purchase_back_to_all_shoppers_counts(
    ann: Shopper, bob: Shopper, buy: Callable[..., str], serve: Serve, messages: Messages
) -> None:
    functions = [serve("update_preferences"), serve("update_popularity")]

    def popular() -> dict[int, int]:
        sql = "SELECT product_id, purchase_count FROM product_stats WHERE purchase_count > 0"
        return {row[0]: row[1] for row in read(sql)}

    order, kept = buy(ann, 9, 10), buy(ann, 8)
    buy(bob, 9)
    assert popular() == {8: 1, 9: 2, 10: 1}
    serve("popular").post("/", json={})
    take = messages("user-events")
    for _ in range(2):
        assert ann.ask("POST", f"/orders/{order}/cancel").status_code == 200
    (refund,) = take()
    assert dict(refund.attributes)["event_types"] == "refund"
    for _ in range(2):
        for function in functions:
            assert push(function, refund.data, dict(refund.attributes)).status_code == 200
    assert popular() == {8: 1, 9: 1}
    # the live ranking follows before its job runs again
    assert dict(ranking()) == {8: 1, 9: 1, 10: 0}
    rows = read("SELECT external_id, product_id FROM user_purchases JOIN users u ON u.id = user_id ORDER BY 1, 2")
    assert [tuple(row) for row in rows] == [("ann", 8), ("bob", 9)]
    counted = read("SELECT product_id FROM events WHERE event_type = 'purchase' AND counted ORDER BY 1")
    assert [row[0] for row in counted] == [8, 9]
    assert kept != order


def test_an_order_of_ours_that_the_storefront_reports_too_counts_once(
    ann: Shopper, buy: Callable[..., str], serve: Serve, messages: Messages
) -> None:
    functions = [serve("update_preferences"), serve("update_popularity")]
    events = serve("events")
    order = buy(ann, 9, 10)
    take = messages("user-events")
    report = {"user_id": "ann", "event_type": "order", "order_id": order}
    # the second line of product 9, and product 7, are none of the order's
    lines = [{"product_id": 9}, {"product_id": 10}, {"product_id": 9}, {"product_id": 7}]
    assert events.post("/events", json=report | {"lines": lines}).status_code == 202
    (message,) = take()
    for function in functions:
        assert push(function, message.data, dict(message.attributes)).status_code == 200
    rows = read("SELECT product_id, purchase_count FROM product_stats ORDER BY 1")
    assert [tuple(row) for row in rows] == [(9, 1), (10, 1)]
    rejected = read("SELECT event ->> 'product_id' FROM rejected_events")
    assert [row[0] for row in rejected] == ["7"]
