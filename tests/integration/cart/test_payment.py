"""Payments that fail, time out or are interrupted leave no order half done."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from shared import clients, payments
from shared.clients.postgres import read, transaction, write
from shared.payments import fake
from shared.storage.shopping import orders
from tests.integration.cart.conftest import (
    Shopper,
    check_out_and_be_killed,
    order_states,
    outbox_events,
    problem,
    set_stock,
    state,
    stock,
)
from tests.integration.conftest import Serve


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    clients.reset()


def cart_rows() -> Any:
    return read("SELECT json_agg(i ORDER BY product_id)::text FROM cart_items i")[0][0]


def test_a_declined_payment_leaves_stock_and_cart_as_they_were(ann: Shopper) -> None:
    ann.add(1, 5)
    ann.add(2)
    write("UPDATE products SET price = 3 WHERE id = 1")
    before, cart = cart_rows(), ann.cart()
    answer = ann.check_out("k", payment_token="decline")
    assert problem(answer) == (402, "payment-declined")
    assert (stock(1), stock(2)) == (5, 5)
    assert (cart_rows(), ann.cart()) == (before, cart)
    assert order_states() == [("cancelled", "released")]
    (order,) = ann.orders()
    assert order["history"][-1]["reason"] == "payment declined"
    assert outbox_events(("purchase",)) == []
    # the same key again, with another means of payment
    assert ann.check_out("k", payment_token="tok_good").json()["state"] == "paid"
    assert (stock(1), stock(2)) == (0, 4)
    assert len(outbox_events(("purchase",))) == 2


def test_a_payment_without_an_answer_is_given_back(ann: Shopper, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, PAYMENT_TIMEOUT_S="0.1")
    ann.add(1, 2)
    answer = ann.check_out("k", payment_token="time-out")
    assert problem(answer) == (503, "payment-unavailable")
    assert answer.headers["retry-after"]
    assert (stock(1), ann.in_cart()) == (5, {1: 2})
    assert order_states() == [("cancelled", "released")]
    # it had been taken
    assert list(fake.ledger.charged.values()) == [0]
    assert ann.check_out("k").json()["state"] == "paid"


def test_a_payment_is_released_later_if_the_provider_does_not_answer(
    ann: Shopper, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(monkeypatch, PAYMENT_TIMEOUT_S="0.1", PAYMENT_PROVIDER="fake-times-out")
    ann.add(1)
    ann.add(2)
    assert problem(ann.check_out()) == (503, "payment-unavailable")
    assert order_states() == [("cancelled", "release_due")]
    assert list(fake.ledger.charged.values()) == [3]
    job = serve("settle_orders")
    assert job.post("/", json={}).json()["provider_answered"] is False
    assert order_states() == [("cancelled", "release_due")]
    settings(monkeypatch, PAYMENT_PROVIDER="fake")
    report = job.post("/", json={}).json()
    assert (report["given_up"], report["released"], report["provider_answered"]) == (0, 1, True)
    assert order_states() == [("cancelled", "released")]
    assert list(fake.ledger.charged.values()) == [0]
    assert job.post("/", json={}).json()["released"] == 0


def test_a_provider_that_breaks_is_treated_as_one_without_an_answer(
    ann: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(fake.Fake):
        def charge(self, reference: str, amount: Any, token: str | None, timeout_s: float) -> None:
            super().charge(reference, amount, token, timeout_s)
            raise ValueError("an answer that nobody understands")

    monkeypatch.setattr(payments, "provider", lambda: Broken("fake"))
    monkeypatch.setattr("functions.cart.checkout.provider", lambda: Broken("fake"))
    ann.add(1)
    assert problem(ann.check_out()) == (500, "internal-error")
    assert order_states() == [("cancelled", "released")]
    assert (stock(1), ann.in_cart()) == (5, {1: 1})
    assert list(fake.ledger.charged.values()) == [0]


def test_items_added_during_a_failed_checkout_stay_in_the_cart(ann: Shopper, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(fake.Fake):
        def charge(self, reference: str, amount: Any, token: str | None, timeout_s: float) -> None:
            assert ann.in_cart() == {}
            ann.add(1, 2)
            ann.add(3)
            super().charge(reference, amount, "decline", timeout_s)

    monkeypatch.setattr("functions.cart.checkout.provider", lambda: Slow("fake"))
    ann.add(1, 2)
    ann.add(2)
    assert problem(ann.check_out()) == (402, "payment-declined")
    assert ann.in_cart() == {1: 4, 2: 1, 3: 1}


def test_a_line_that_is_given_back_to_the_cart_holds_no_more_than_any_line(
    ann: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(fake.Fake):
        def charge(self, reference: str, amount: Any, token: str | None, timeout_s: float) -> None:
            ann.add(1, 600)
            ann.add(2, 600)
            super().charge(reference, amount, "decline", timeout_s)

    monkeypatch.setattr("functions.cart.checkout.provider", lambda: Slow("fake"))
    for product_id, quantity in ((1, 399), (2, 400), (3, 1)):
        set_stock(product_id, 2000)
        ann.add(product_id, quantity)
    assert problem(ann.check_out()) == (402, "payment-declined")
    assert ann.in_cart() == {1: 999, 2: 999, 3: 1}


def test_an_order_cancelled_while_it_is_paid_is_not_charged(ann: Shopper, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cancelling(fake.Fake):
        def charge(self, reference: str, amount: Any, token: str | None, timeout_s: float) -> None:
            assert ann.ask("POST", f"/orders/{reference}/cancel").json()["state"] == "cancelled"
            # this provider charges a reference that it was asked to release
            fake.ledger.charged[reference] = amount

    monkeypatch.setattr("functions.cart.checkout.provider", lambda: Cancelling("fake"))
    ann.add(1)
    answer = ann.check_out()
    assert problem(answer) == (409, "order-state")
    assert order_states() == [("cancelled", "released")]
    assert list(fake.ledger.charged.values()) == [0]
    assert stock(1) == 5
    assert outbox_events(("purchase",)) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_before_the_order_was_paid_is_swept_up(
    moment: str, ann: Shopper, serve: Serve, env: dict[str, str], repository: Path
) -> None:
    ann.add(1, 5)
    check_out_and_be_killed(moment, env, repository)
    assert order_states() == [("placed", "pending")]
    assert (stock(1), ann.in_cart()) == (0, {})
    job = serve("settle_orders")
    # a checkout that may still be running is left alone
    assert job.post("/", json={}).json()["given_up"] == 0
    write("UPDATE orders SET created_at = created_at - interval '121 seconds'")
    report = job.post("/", json={}).json()
    assert (report["given_up"], report["released"]) == (1, 1)
    assert order_states() == [("cancelled", "released")]
    assert (stock(1), ann.in_cart()) == (5, {1: 5})
    assert outbox_events(("purchase",)) == []
    write("DELETE FROM idempotency_keys")
    assert ann.check_out("k").json()["state"] == "paid"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_request_repeated_after_a_crash_finishes_its_order(
    moment: str, ann: Shopper, env: dict[str, str], repository: Path
) -> None:
    ann.add(1, 2)
    check_out_and_be_killed(moment, env, repository)
    assert problem(ann.check_out("k")) == (409, "request-in-progress")
    write("UPDATE idempotency_keys SET created_at = created_at - interval '61 seconds'")
    order = ann.check_out("k").json()
    assert order["state"] == "paid"
    assert ann.orders() == [order]
    assert stock(1) == 3
    assert len(outbox_events(("purchase",))) == 1


def test_a_sweep_that_comes_late_leaves_a_paid_order_alone(ann: Shopper) -> None:
    ann.add(1)
    order_id = UUID(ann.check_out().json()["id"])
    before = state()
    with transaction() as connection:
        assert orders.give_up(connection, order_id, "late", charged=True) is None
        assert orders.pay(connection, order_id) is None
    assert state() == before


def test_returned_stock_never_overflows(ann: Shopper) -> None:
    ann.add(1, 5)
    order_id = ann.check_out().json()["id"]
    set_stock(1, 2**31 - 2)
    assert ann.ask("POST", f"/orders/{order_id}/cancel").json()["state"] == "cancelled"
    assert stock(1) == 2**31 - 1
