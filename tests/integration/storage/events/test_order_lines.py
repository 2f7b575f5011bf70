"""Lines of orders that the shop's server reports: no browser can use up their ids, or take them back."""

from typing import Any

import pytest

from shared.domain.events import event_key
from shared.domain.order_events import line_id
from shared.event_origin import VOUCHED
from tests.integration.deliveries import event
from tests.integration.shop import add_products, now
from tests.integration.storage.events.test_refunds import (
    UNVOUCHED,
    events_of,
    order,
    purchases,
    refund,
    rows,
    shop_counts,
    store,
)

SEEN = [{"product_id": 3, "quantity": 1}]
REPORTED = [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]


@pytest.fixture(autouse=True)
def _products(env: dict[str, str]) -> None:
    add_products(10)


def view(product_id: int, user_id: str) -> list[dict[str, Any]]:
    return events_of(event_type="view", product_id=product_id, user_id=user_id, event_id=f"view {product_id} {user_id}")


@pytest.mark.parametrize("is_first", [True, False])
def test_what_a_browser_says_of_an_order_is_replaced_by_what_the_server_reports(is_first: bool) -> None:
    forged, reported = order(lines=SEEN), order(lines=REPORTED)
    sent = [(forged, UNVOUCHED), (reported, VOUCHED)]
    for events, origin in sent if is_first else reversed(sent):
        store("ann", events, origin)
    # redelivered
    store("ann", forged, UNVOUCHED)
    store("ann", reported)
    assert purchases() == {1: 1, 2: 1}
    assert rows("SELECT product_id, quantity, returned, vouched FROM purchase_lines ORDER BY 1") == [
        (1, 2, 0, True),
        (2, 1, 0, True),
        (3, 1, 1, False),
    ]
    assert rows("SELECT count(*) FROM rejected_events") == [(0,)]


def test_an_order_that_a_browser_reported_and_refunded_counts_once_the_server_reports_it() -> None:
    store("ann", view(1, "ann"), UNVOUCHED)
    for user_id in ("ann", "bob"):
        store(user_id, order(lines=REPORTED, user_id=user_id), UNVOUCHED)
    store("ann", refund(), UNVOUCHED)
    assert purchases() == {}
    store("ann", order(lines=REPORTED))
    assert purchases() == {1: 1, 2: 1}
    # another person's line of that order id is theirs
    assert purchases("bob") == {1: 1, 2: 1}
    counts = shop_counts()
    assert (counts[1][0], counts[2][0]) == (1, 1)
    # a refund of pieces goes to what the server reported
    store("ann", refund(event_id="r2", lines=[{"product_id": 1, "quantity": 2}]))
    assert purchases() == {2: 1}
    assert purchases("bob") == {1: 1, 2: 1}


def test_the_id_of_a_line_cannot_be_used_up_by_another_event() -> None:
    custom = events_of(event_type="custom", event_id=str(line_id("A-1", 0)), metadata={"name": "x"})
    assert [event["event_id"] for event in custom] == [str(event_key(str(line_id("A-1", 0))))]
    store("ann", custom, UNVOUCHED)
    store("ann", order(lines=REPORTED))
    assert purchases() == {1: 1, 2: 1}
    assert rows("SELECT count(*) FROM rejected_events") == [(0,)]


def test_a_message_vouches_for_lines_of_its_sender_alone_and_as_they_are() -> None:
    """Each message has an event that is known, so that the lines of the sender are looked up."""

    def purchase(number: int, product_id: int) -> list[dict[str, Any]]:
        body = event(
            product_id,
            "purchase",
            event_id=f"6c36b13e-6a6e-4e3c-9a07-2a7a3b7d5b0{number}",
            metadata={"order_id": f"A-{number}"},
        )
        return [body | {"position": number, "occurred_at": now().isoformat(), "quantity": 1}]

    store("ann", [*view(3, "ann"), *purchase(1, 1), *purchase(2, 2)], UNVOUCHED)
    for _ in range(2):
        # an id that another person has used
        store("eve", purchase(1, 1))
    # an id with another product
    store("ann", [*view(3, "ann"), *purchase(2, 4)])
    lines = """SELECT u.external_id, product_id, vouched FROM purchase_lines JOIN users u ON u.id = user_id
               ORDER BY 1, 2"""
    assert rows(lines) == [("ann", 1, False), ("ann", 2, False), ("eve", 1, True)]
    store("ann", purchase(2, 2))
    assert rows(lines) == [("ann", 1, False), ("ann", 2, True), ("eve", 1, True)]


def test_an_order_of_browsers_alone_counts_once() -> None:
    for _ in range(2):
        store("ann", order(lines=REPORTED), UNVOUCHED)
    assert purchases() == {1: 1, 2: 1}
    assert rows("SELECT returned FROM purchase_lines") == [(0,), (0,)]
