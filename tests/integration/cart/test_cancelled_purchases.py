"""What was bought and given back: for the shopper's own answers it was not bought."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.clients.postgres import read
from tests.integration.cart.conftest import Shopper
from tests.integration.conftest import Messages, Serve
from tests.integration.deliveries import push
from tests.integration.people import ADMIN

Answers = Callable[[str], tuple[set[int], dict[int, int]]]


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

    def of(user: str) -> tuple[set[int], dict[int, int]]:
        # of ten products, so few that none has to return
        recommended = client.get("/recommendations", params={"user_id": user, "k": 7}).json()["recommendations"]
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
    recommended, again = answers("ann")
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
    recommended, again = answers("ann")
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
