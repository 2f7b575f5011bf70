"""What was given back is no purchase: once, in any order of delivery, and nobody else's."""

import itertools
import random
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.domain.events import event_key
from shared.domain.order_events import REFUND_WAIT, REPORT
from shared.event_origin import VOUCHED, Origin
from shared.event_publishing import prepare
from shared.storage.events import ingestion, purchase_counts, refunds
from tests.examples import examples
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import login, register
from tests.integration.shop import add_products, now

# two lines of product 1 of the same size, so that which of them is first does not matter
LINES = [{"product_id": 1, "quantity": 3}, {"product_id": 2}, {"product_id": 1, "quantity": 3}]
UNVOUCHED = Origin(client="c")
_numbers = itertools.count(1)


def events_of(**fields: Any) -> list[dict[str, Any]]:
    """Return a report's events as a subscriber reads them."""
    report = {"user_id": "ann", "timestamp": now().isoformat()} | fields
    read = []
    for position, body in enumerate(prepare(REPORT.validate_python(report))[1]):
        quantity = (body["metadata"] or {}).get("quantity", 1)
        read.append(
            body
            | {"position": position, "occurred_at": body["timestamp"], "quantity": quantity}
            | {"event_id": str(event_key(body["event_id"]))}
        )
    return read


def order(order_id: str = "A-1", **fields: Any) -> list[dict[str, Any]]:
    return events_of(event_type="order", order_id=order_id, lines=fields.pop("lines", LINES), **fields)


def refund(order_id: str = "A-1", event_id: str = "r1", **fields: Any) -> list[dict[str, Any]]:
    return events_of(event_type="refund", order_id=order_id, event_id=event_id, **fields)


def store(user_id: str, events: list[dict[str, Any]], origin: Origin = VOUCHED) -> None:
    """Do what both subscribers do with a message."""
    ingestion.store(f"m{next(_numbers)}", user_id, events, origin)
    purchase_counts.count(user_id, events, origin)


def rows(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in postgres.read(sql, **parameters)]


def purchases(user_id: str = "ann") -> dict[int, int]:
    """Return how often a user bought each product."""
    sql = "SELECT product_id, purchase_count FROM user_purchases JOIN users u ON u.id = user_id WHERE external_id = :id"
    return dict(rows(sql, id=user_id))


def shop_counts() -> dict[int, tuple[int, int, int]]:
    """Return of each product the counted purchases: of the ranking, of trending, and of training."""
    sql = """
        SELECT p.id, coalesce(s.purchase_count, 0)::int,
               (SELECT coalesce(sum(event_count), 0)::int FROM event_counts_hourly
                WHERE product_id = p.id AND event_type = 'purchase'),
               (SELECT count(*)::int FROM events WHERE product_id = p.id AND event_type = 'purchase' AND counted)
        FROM products p LEFT JOIN product_stats s ON s.product_id = p.id ORDER BY 1"""
    return {row[0]: row[1:] for row in rows(sql) if any(row[1:])}


def taste(user_id: str = "ann") -> dict[str, Any]:
    sql = (
        "SELECT kind || ' ' || key, score FROM user_preferences JOIN users u ON u.id = user_id WHERE external_id = :id"
    )
    return {row[0]: pytest.approx(row[1]) for row in rows(sql, id=user_id)}


def price_band(user_id: str = "ann") -> list[Any]:
    sql = """SELECT weight, log_sum, square_sum FROM user_price_bands JOIN users u ON u.id = user_id
             WHERE external_id = :id"""
    return [pytest.approx(value, abs=1e-9) for row in rows(sql, id=user_id) for value in row]


def returned() -> list[int]:
    return [row[0] for row in rows("SELECT returned FROM purchase_lines ORDER BY user_id, order_id, sent_id")]


@pytest.fixture
def shop(env: dict[str, str]) -> None:
    """Ten products, and a bystander who bought the same products in orders of the same ids."""
    add_products()
    store("bob", order("A-1", user_id="bob"))
    store("bob", order("A-2", user_id="bob"))


def test_an_order_is_one_purchase_per_line_and_counts_once(shop: None) -> None:
    before = shop_counts()
    for _ in range(2):
        store("ann", order())
    # under another event id too
    store("ann", order(event_id="another"))
    assert purchases() == {1: 2, 2: 1}
    assert purchases("bob") == {1: 4, 2: 2}
    assert {key: counts[0] - before[key][0] for key, counts in shop_counts().items()} == {1: 2, 2: 1}
    assert rows("SELECT quantity FROM events JOIN users u ON u.id = user_id WHERE external_id = 'ann' ORDER BY 1") == [
        (1,),
        (3,),
        (3,),
    ]


def test_a_refund_gives_back_its_own_order_of_the_orders_of_a_message(shop: None) -> None:
    both, piece = [{"product_id": 1, "quantity": 2}], [{"product_id": 1, "quantity": 1}]
    store("ann", [*order("A-1", lines=both), *order("A-2", lines=both), *order("A-3", lines=both)])
    # in one message: one order whole, a piece of another, and nothing of the third
    store("ann", [*order("A-3", lines=both), *refund("A-1"), *refund("A-2", "r2", lines=piece)])
    assert rows(
        """SELECT order_id, returned FROM purchase_lines JOIN users u ON u.id = user_id
           WHERE external_id = 'ann' ORDER BY 1"""
    ) == [("A-1", 2), ("A-2", 1), ("A-3", 0)]
    assert purchases() == {1: 2}
    assert purchases("bob") == {1: 4, 2: 2}


def test_a_message_after_its_ids_were_deleted_keeps_the_lines_and_refunds_that_are_stored(shop: None) -> None:
    store("ann", [*order(), *refund("A-9")])
    # retention drops events first, then ids, then lines
    for table in ("events", "event_ids"):
        postgres.write(f"DELETE FROM {table}")
    store("ann", [*order(), *refund("A-9")])
    lines = rows(
        "SELECT u.external_id, count(*) FROM purchase_lines JOIN users u ON u.id = user_id GROUP BY 1 ORDER BY 1"
    )
    assert lines == [("ann", 3), ("bob", 6)]
    assert rows("SELECT count(*) FROM refunds") == [(1,)]


@pytest.mark.parametrize("is_first", [False, True])
def test_a_refund_of_the_whole_order_leaves_nothing_of_it(shop: None, is_first: bool) -> None:
    before, taste_before, band_before = shop_counts(), taste("bob"), price_band("bob")
    store("ann", [event(4) | {"position": 0, "occurred_at": now().isoformat(), "quantity": 1}])
    own_taste, own_band = taste(), price_band()
    messages = [refund(), order()] if is_first else [order(), refund()]
    for message in messages:
        store("ann", message)
    assert purchases() == {}
    assert shop_counts() == before
    assert (taste(), price_band()) == (own_taste, own_band)
    # the bystander's order of the same id
    assert purchases("bob") == {1: 4, 2: 2}
    assert (taste("bob"), price_band("bob")) == (taste_before, band_before)


@pytest.mark.parametrize(
    ("lines", "left", "pieces"),
    [
        ([{"product_id": 2}], {1: 2}, [0, 0, 1]),
        ([{"product_id": 1, "quantity": 2}], {1: 2, 2: 1}, [0, 0, 2]),
        ([{"product_id": 1, "quantity": 3}], {1: 1, 2: 1}, [0, 0, 3]),
        ([{"product_id": 1, "quantity": 4}], {1: 1, 2: 1}, [0, 1, 3]),
        ([{"product_id": 1, "quantity": 6}], {2: 1}, [0, 3, 3]),
        ([{"product_id": 1, "quantity": 99}], {2: 1}, [0, 3, 3]),
        ([{"product_id": 1}], {2: 1}, [0, 3, 3]),
        ([{"product_id": 1, "quantity": 3}, {"product_id": 2}], {1: 1}, [0, 1, 3]),
        ([{"product_id": 3}], {1: 2, 2: 1}, [0, 0, 0]),
    ],
)
def test_a_part_is_given_back_by_pieces(
    shop: None, lines: list[dict[str, Any]], left: dict[int, int], pieces: list[int]
) -> None:
    before = shop_counts()
    store("ann", order())
    store("ann", refund(lines=lines))
    assert purchases() == left
    for table in ("events", "purchase_lines"):
        sql = f"""SELECT t.returned FROM {table} t JOIN users u ON u.id = t.user_id
                  WHERE u.external_id = 'ann' ORDER BY 1 DESC LIMIT 3"""
        assert [row[0] for row in rows(sql)][::-1] == pieces
    now = shop_counts()
    assert {key: now[key][0] - before[key][0] for key in (1, 2)} == {key: left.get(key, 0) for key in (1, 2)}
    assert all(len(set(counts)) == 1 for counts in now.values())
    assert purchases("bob") == {1: 4, 2: 2}


def state() -> tuple[Any, ...]:
    return purchases(), purchases("bob"), shop_counts(), taste(), price_band(), sorted(returned())


@pytest.mark.parametrize("seed", range(examples(12)))
def test_the_result_is_the_same_in_any_order_of_delivery_and_with_duplicates(shop: None, seed: int) -> None:
    random_order = random.Random(seed)
    lines = [{"product_id": random_order.choice((1, 2, 3)), "quantity": random_order.randint(1, 3)} for _ in range(3)]
    messages = [
        order(lines=lines),
        order("A-2", lines=LINES),
        refund(event_id="r1", lines=[{"product_id": lines[0]["product_id"], "quantity": 1}]),
        refund(event_id="r2", lines=[{"product_id": lines[1]["product_id"], "quantity": 2}]),
        refund(event_id="r3", lines=[{"product_id": 2}]),
    ]
    for message in messages:
        store("ann", message)
    expected = state()
    # nothing of ann's is left of a shop that is as before
    for table in ("events", "event_ids", "event_counts_hourly", "user_purchases", "user_preferences"):
        postgres.write(f"TRUNCATE {table} CASCADE")
    for table in ("user_price_bands", "counted_purchases", "product_stats", "purchase_lines", "refunds"):
        postgres.write(f"TRUNCATE {table} CASCADE")
    store("bob", order("A-1", user_id="bob"))
    store("bob", order("A-2", user_id="bob"))
    again = [message for message in messages for _ in range(random_order.randint(1, 2))]
    random_order.shuffle(again)
    # the two subscribers receive each in an order of its own
    for message in again:
        ingestion.store(f"m{next(_numbers)}", "ann", message)
    random_order.shuffle(again)
    for message in again:
        purchase_counts.count("ann", message)
    assert state() == expected


def test_giving_back_leaves_other_hours_and_what_others_have_left_as_they_were(shop: None) -> None:
    hours = "SELECT hour, product_id, event_count FROM event_counts_hourly WHERE event_count > 0 ORDER BY 1, 2"
    # a bystander's remainders are theirs: they go when something of theirs is given back
    for sql in (
        "INSERT INTO user_preferences SELECT id, 'tag', 'faded', 0, now() FROM users WHERE external_id = 'bob'",
        "UPDATE user_price_bands SET weight = 0 WHERE user_id = (SELECT id FROM users WHERE external_id = 'bob')",
    ):
        postgres.write(sql)
    before = (rows(hours), taste("bob"), price_band("bob"))
    assert before[1]["tag faded"] == 0
    earlier = (now() - timedelta(hours=3)).isoformat()
    store("ann", order("A-2", timestamp=earlier, lines=[{"product_id": 1}]))
    assert len(rows(hours)) == len(before[0]) + 1
    store("ann", refund("A-2"))
    assert (rows(hours), taste("bob"), price_band("bob")) == before
    assert (taste(), price_band()) == ({}, [])


def test_a_refund_is_settled_at_one_time(shop: None) -> None:
    settled = "SELECT event_id, settled_at FROM refunds ORDER BY received_at, event_id"
    store("ann", [*order("A-1"), *order("A-2")])
    store("ann", refund("A-1", lines=[{"product_id": 2}]))
    first = rows(settled)
    store("ann", [*refund("A-1", "r2"), *refund("A-9", "r3")])
    assert rows(settled)[0] == first[0]
    assert sorted(row[1] is None for row in rows(settled)) == [False, False, True]


def test_a_refund_of_another_order_or_user_takes_nothing(shop: None) -> None:
    store("ann", order())
    before = state()
    store("ann", refund("A-9"))
    store("carl", refund("A-1", user_id="carl", event_id="r2"))
    assert state() == before
    assert rows("SELECT count(*) FROM refunds WHERE settled_at IS NULL") == [(2,)]


def test_a_refund_that_nothing_vouches_for_takes_back_what_nothing_vouched_for(shop: None) -> None:
    store("ann", order())
    before = state()
    store("ann", refund(), UNVOUCHED)
    assert state() == before
    store("ann", order("A-2", lines=[{"product_id": 5}]), UNVOUCHED)
    assert purchases() == {1: 2, 2: 1, 5: 1}
    store("ann", refund("A-2", "r2"), UNVOUCHED)
    assert purchases() == {1: 2, 2: 1}
    store("ann", refund(event_id="r3"))
    assert purchases() == {}


def test_a_purchase_given_back_does_not_count_again_when_it_is_vouched_for_later(shop: None) -> None:
    before = shop_counts()
    store("ann", order(), UNVOUCHED)
    store("ann", refund())
    for _ in range(2):
        store("ann", order())
    assert shop_counts() == before
    assert purchases() == {}


def test_purchases_that_name_their_order_are_given_back_too(shop: None) -> None:
    before = shop_counts()
    named = event(7, "purchase", event_id="6c36b13e-6a6e-4e3c-9a07-2a7a3b7d5b01", metadata={"order_id": 17})
    unnamed = event(8, "purchase")
    for message in (named, unnamed):
        store("ann", [message | {"position": 0, "occurred_at": now().isoformat(), "quantity": 1}])
    store("ann", refund("17"))
    assert purchases() == {8: 1}
    assert shop_counts() == before | {8: (1, 1, 1)}


def test_a_refund_goes_to_the_lines_that_are_vouched_for_first(shop: None) -> None:
    # a browser's line is earlier, and has the smaller id
    for number, minutes, origin in ((1, 9, UNVOUCHED), (2, 6, VOUCHED), (3, 3, VOUCHED)):
        body = event(
            7, "purchase", event_id=f"6c36b13e-6a6e-4e3c-9a07-2a7a3b7d5b0{number}", metadata={"order_id": "17"}
        )
        at = (now() - timedelta(minutes=minutes)).isoformat()
        store("ann", [body | {"position": 0, "occurred_at": at, "quantity": 2}], origin)
    store("ann", refund("17", lines=[{"product_id": 7, "quantity": 3}]))
    given_back = "SELECT vouched, returned FROM purchase_lines WHERE order_id = '17' ORDER BY occurred_at"
    assert rows(given_back) == [(False, 0), (True, 2), (True, 1)]


def test_a_guests_order_is_given_back_to_the_account(shop: None, serve: Serve) -> None:
    accounts = serve("accounts")
    register(accounts, "ann")
    guest = accounts.post("/auth/guest").json()["user_id"]
    before = shop_counts()
    store(guest, order(user_id=guest))
    answer = login(accounts, "ann", guest_user_id=guest)
    account = answer.json()["user_id"]
    assert purchases(account) == {1: 2, 2: 1}
    store(account, refund(user_id=account))
    assert purchases(account) == {}
    assert shop_counts() == before


def test_a_refund_that_waits_finds_the_order_that_a_merge_brings(shop: None, serve: Serve) -> None:
    accounts, job = serve("accounts"), serve("settle_orders")
    account = register(accounts, "ann")["user_id"]
    guest = accounts.post("/auth/guest").json()["user_id"]
    before = shop_counts()
    store(account, refund(user_id=account))
    store(guest, order(user_id=guest))
    assert job.post("/", json={}).json()["refunds_settled"] == 0
    login(accounts, "ann", guest_user_id=guest)
    assert job.post("/", json={}).json()["refunds_settled"] == 1
    assert purchases(account) == {}
    assert shop_counts() == before
    assert job.post("/", json={}).json()["refunds_settled"] == 0


def test_a_refund_of_an_unknown_order_is_rejected_after_the_waiting_time(shop: None) -> None:
    store("ann", refund("A-9"))
    store("bob", refund("A-1", user_id="bob", event_id="r2"))
    ((received_at,),) = rows("SELECT max(received_at) FROM refunds")
    assert refunds.reject_expired(100, now=received_at + REFUND_WAIT - timedelta(minutes=1)) == 0
    assert refunds.reject_expired(100, now=received_at + REFUND_WAIT + timedelta(minutes=1)) == 1
    ((body, reason),) = rows("SELECT event, reason FROM rejected_events")
    assert (body["user_id"], body["order_id"], reason) == ("ann", "A-9", refunds.UNKNOWN_ORDER)
    # the refund that found its order stays
    assert rows("SELECT count(*) FROM refunds") == [(1,)]


def test_a_refund_without_an_order_is_rejected(shop: None, serve: Serve) -> None:
    client: httpx.Client = serve("update_preferences")
    assert deliver(client, "ann", event(1, "refund"), event(2)).status_code == 200
    ((reason,),) = rows("SELECT reason FROM rejected_events")
    assert reason == "a refund needs metadata.order_id"
