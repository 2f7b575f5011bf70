"""The checker sees every planted loss and double, and is silent about a shop in order."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from local.chaos.checker import DOUBLED, LOST, Finding, check, total
from local.chaos.record import Accepted
from local.chaos.snapshot import Snapshot, StoredEvent, StoredOrder
from shared.domain.preferences import Decayed
from tests.unit.local.chaos.shop import HOUR, NOW, STOCK, accepted, stored


def findings(snapshot: Snapshot, record: Accepted | None = None) -> list[Finding]:
    return check(record or accepted(), snapshot, STOCK)


def kinds(found: list[Finding]) -> set[str]:
    return {finding.kind for finding in found}


def without_event(event_id: str) -> Callable[[Snapshot], None]:
    def plant(snapshot: Snapshot) -> None:
        snapshot.events = [event for event in snapshot.events if event.event_id != event_id]

    return plant


def test_a_shop_in_order_has_no_findings() -> None:
    assert findings(stored()) == []


def test_an_event_that_was_sent_and_not_accepted_may_be_stored() -> None:
    snapshot = stored()
    # of a type without weight and not counted, so that nothing else follows from it
    snapshot.events.append(StoredEvent("e4", "bob", 2, "remove_from_cart", NOW, False))
    snapshot.event_ids.add("e4")
    assert findings(snapshot) == []


def lose_price(snapshot: Snapshot) -> None:
    snapshot.products[3] = snapshot.products[3]._replace(price=9.0)


def lose_order(snapshot: Snapshot) -> None:
    snapshot.orders = []
    snapshot.products[2] = snapshot.products[2]._replace(quantity=100)


def other_type(snapshot: Snapshot) -> None:
    snapshot.events[0] = snapshot.events[0]._replace(event_type="recommendation_click")


def cancelled(snapshot: Snapshot) -> None:
    snapshot.orders[0] = snapshot.orders[0]._replace(state="cancelled")
    snapshot.products[2] = snapshot.products[2]._replace(quantity=100)


def fewer_pieces(snapshot: Snapshot) -> None:
    snapshot.orders[0] = snapshot.orders[0]._replace(lines=((2, 2, "p1"),))
    snapshot.products[2] = snapshot.products[2]._replace(quantity=98)


def in_outbox(snapshot: Snapshot) -> None:
    snapshot.unsent_outbox = 2


def poison_gone(snapshot: Snapshot) -> None:
    snapshot.rejected = Counter()


def id_gone(snapshot: Snapshot) -> None:
    snapshot.event_ids.discard("e3")


def hour_gone(snapshot: Snapshot) -> None:
    del snapshot.hourly[HOUR, 1, "purchase"]


def view_gone(snapshot: Snapshot) -> None:
    snapshot.views = {}


def purchase_gone(snapshot: Snapshot) -> None:
    snapshot.purchase_counts[2] = 0


def bought_gone(snapshot: Snapshot) -> None:
    del snapshot.user_purchases["ann", 1]


def stock_back(snapshot: Snapshot) -> None:
    snapshot.products[2] = snapshot.products[2]._replace(quantity=98)


def taste_gone(snapshot: Snapshot) -> None:
    del snapshot.preferences["ann", "brand", "Acme"]


def less_taste(snapshot: Snapshot) -> None:
    old = snapshot.preferences["ann", "tag", "red"]
    snapshot.preferences["ann", "tag", "red"] = Decayed(old.score * 0.999, old.as_of)


@pytest.mark.parametrize(
    "plant",
    [
        without_event("e1"),
        without_event("e3"),
        without_event("p1"),
        without_event("c1"),
        lose_price,
        lose_order,
        other_type,
        cancelled,
        fewer_pieces,
        in_outbox,
        poison_gone,
        id_gone,
        hour_gone,
        view_gone,
        purchase_gone,
        bought_gone,
        stock_back,
        taste_gone,
        less_taste,
    ],
)
def test_a_planted_loss_is_found(plant: Callable[[Snapshot], None]) -> None:
    snapshot = stored()
    plant(snapshot)
    found = findings(snapshot)
    assert LOST in kinds(found), found
    assert total(found, LOST) >= 1


def event_twice(snapshot: Snapshot) -> None:
    snapshot.events.append(snapshot.events[2]._replace(occurred_at=NOW + timedelta(seconds=1)))


def never_sent(snapshot: Snapshot) -> None:
    snapshot.events.append(StoredEvent("x", "bob", 2, "search", NOW, False))
    snapshot.event_ids.add("x")


def second_order(snapshot: Snapshot) -> None:
    snapshot.orders.append(StoredOrder("o2", "buyer-1", "placed", ((2, 3, "p1"),)))
    snapshot.products[2] = snapshot.products[2]._replace(quantity=94)


def order_of_nobody(snapshot: Snapshot) -> None:
    snapshot.orders.append(StoredOrder("o2", "buyer-2", "paid", ()))


def more_pieces(snapshot: Snapshot) -> None:
    snapshot.orders[0] = snapshot.orders[0]._replace(lines=((2, 6, "p1"),))
    snapshot.products[2] = snapshot.products[2]._replace(quantity=94)


def cart_twice(snapshot: Snapshot) -> None:
    snapshot.events.append(snapshot.events[3]._replace(event_id="c2"))
    snapshot.event_ids.add("c2")
    snapshot.hourly[HOUR, 2, "add_to_cart"] += 1


def stock_twice(snapshot: Snapshot) -> None:
    snapshot.products[2] = snapshot.products[2]._replace(quantity=94)


def hour_twice(snapshot: Snapshot) -> None:
    snapshot.hourly[HOUR, 1, "purchase"] = 2


def view_twice(snapshot: Snapshot) -> None:
    snapshot.views[1] = 2


def purchase_twice(snapshot: Snapshot) -> None:
    snapshot.purchase_counts[1] = 2


def bought_twice(snapshot: Snapshot) -> None:
    snapshot.user_purchases["ann", 1] = 2


def taste_twice(snapshot: Snapshot) -> None:
    old = snapshot.preferences["bob", "category", "10"]
    snapshot.preferences["bob", "category", "10"] = Decayed(old.score * 2, old.as_of)


def taste_of_nothing(snapshot: Snapshot) -> None:
    snapshot.preferences["bob", "tag", "blue"] = Decayed(1.0, NOW)


@pytest.mark.parametrize(
    "plant",
    [
        event_twice,
        never_sent,
        second_order,
        order_of_nobody,
        more_pieces,
        cart_twice,
        stock_twice,
        hour_twice,
        view_twice,
        purchase_twice,
        bought_twice,
        taste_twice,
        taste_of_nothing,
    ],
)
def test_a_planted_double_is_found(plant: Callable[[Snapshot], None]) -> None:
    snapshot = stored()
    plant(snapshot)
    found = findings(snapshot)
    assert DOUBLED in kinds(found), found
    assert total(found, DOUBLED) >= 1


def test_a_finding_counts_by_its_number() -> None:
    snapshot = stored()
    snapshot.views[1] = 4
    snapshot.unsent_outbox = 2
    found = findings(snapshot)
    assert (total(found, DOUBLED), total(found, LOST)) == (3, 2)


def test_sums_that_are_stored_as_of_another_time_are_equal() -> None:
    snapshot = stored()
    old = snapshot.preferences["ann", "brand", "Acme"]
    later = old.as_of + timedelta(days=14)
    snapshot.preferences["ann", "brand", "Acme"] = Decayed(old.score / 2, later)
    assert findings(snapshot) == []


def test_a_price_that_was_sent_and_not_confirmed_may_be_stored() -> None:
    record = accepted()
    record.add("sent_price", {"product_id": 3, "price": "9.00"})
    snapshot = stored()
    assert findings(snapshot, record) == []
    lose_price(snapshot)
    assert findings(snapshot, record) == []
    snapshot.products[3] = snapshot.products[3]._replace(price=8.0)
    assert kinds(findings(snapshot, record)) == {LOST}


def test_a_cancelled_order_gives_its_pieces_back() -> None:
    record = accepted()
    del record.orders["buyer-1"]
    snapshot = stored()
    cancelled(snapshot)
    assert findings(snapshot, record) == []
    # its stock stayed away
    assert kinds(findings(replace(snapshot, products=stored().products), record)) == {DOUBLED}
