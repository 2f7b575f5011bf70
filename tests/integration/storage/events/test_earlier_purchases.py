"""Purchases of before: whose lines were not recorded yet, and those that a refund of a later one leaves."""

from datetime import timedelta
from uuid import uuid4

import pytest

from shared.clients import postgres
from tests.integration.deliveries import event
from tests.integration.shop import add_products, now
from tests.integration.storage.events.test_refunds import order, purchases, refund, rows, store


@pytest.fixture(autouse=True)
def _shop(env: dict[str, str]) -> None:
    """Ten products, and a bystander who bought the first."""
    add_products()
    store("bob", order(user_id="bob", lines=[{"product_id": 1}]))


def test_an_order_of_ours_from_before_lines_were_recorded_is_given_back_to_its_shopper_alone() -> None:
    """A line is recorded for a refund of the order's own shopper, not for anybody who names the order."""
    orders = {}
    for user in ("ann", "carl"):
        orders[user], event_id = str(uuid4()), str(uuid4())
        purchase = event(7, "purchase", event_id=event_id)
        store(user, [purchase | {"position": 0, "occurred_at": now().isoformat(), "quantity": 1}])
        postgres.write(
            """WITH placed AS (
                   INSERT INTO orders (id, user_id, request_hash, state, total)
                   SELECT :id, id, '', 'paid', 6 FROM users WHERE external_id = :user RETURNING id)
               INSERT INTO order_items
                   (order_id, product_id, external_id, name, quantity, price, event_id, price_when_added, added_at)
               SELECT id, 7, 'SKU7', 'Product 7', 1, 6, :event_id, 6, now() FROM placed""",
            id=orders[user],
            user=user,
            event_id=event_id,
        )
    adopted = (
        "SELECT u.external_id, order_id, price FROM purchase_lines JOIN users u ON u.id = user_id WHERE order_id = :id"
    )
    store("carl", refund(orders["ann"], user_id="carl"))
    assert rows(adopted, id=orders["ann"]) == []
    store("ann", refund(orders["ann"], "r2"))
    assert rows(adopted, id=orders["ann"]) == [("ann", orders["ann"], 6)]
    assert rows(adopted, id=orders["carl"]) == []
    assert (purchases(), purchases("carl")) == ({}, {7: 1})


def test_what_was_bought_before_and_kept_was_bought_then() -> None:
    last = """SELECT u.external_id, p.last_at FROM user_purchases p JOIN users u ON u.id = p.user_id
              WHERE product_id = 1 ORDER BY 1"""
    days = [now() - timedelta(days=number) for number in (9, 6, 3)]
    for number, day in enumerate(days):
        store("ann", order(f"O-{number}", timestamp=day.isoformat(), lines=[{"product_id": 1}]))
    (_ann, bob) = rows(last)
    store("ann", refund("O-2"))
    assert rows(last) == [("ann", days[1]), bob]
    # one that is not the latest
    store("ann", refund("O-0", "r2"))
    assert rows(last) == [("ann", days[1]), bob]
