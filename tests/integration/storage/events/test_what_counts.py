"""What counts in what all shoppers see, by the statements that store events and count purchases.

Every test looks at the lists of both statements: hourly counts (trending) and purchase counts (popular).
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.data.history import load_history
from shared.clients import postgres
from shared.domain.counting import MAX_EVENTS_PER_MINUTE, MAX_PER_CLIENT, SEEN_WITHIN_DAYS
from shared.domain.events import uuid7
from shared.event_origin import VOUCHED, Origin
from shared.storage.events import ingestion, purchase_counts
from shared.storage.recommending import bought_together, buy_again
from tests.integration.concurrency import run_concurrently
from tests.integration.shop import add_products

TODAY = datetime.now(UTC).date()
HOME = Origin(client="home")
OFFICE = Origin(client="office")


@pytest.fixture(autouse=True)
def _shop(env: dict[str, str]) -> None:
    add_products(200)


def event(product_id: int | None, event_type: str = "view", *, ago: timedelta = timedelta(0)) -> dict[str, Any]:
    return {
        "event_id": str(uuid7()),
        "product_id": product_id,
        "event_type": event_type,
        "quantity": 1,
        "occurred_at": (datetime.now(UTC) - ago).isoformat(),
        "session_id": None,
        "metadata": None,
    }


def send(user: str, events: Iterable[dict[str, Any]], origin: Origin, *, days_later: int = 0) -> None:
    """Store a message of events and count its purchases, as both subscribers do."""
    numbered = [{"position": position, **each} for position, each in enumerate(events)]
    day = TODAY + timedelta(days=days_later)
    assert ingestion.store(str(uuid7()), user, numbered, origin, day=day).rejected == 0
    purchase_counts.count(user, numbered, origin, day=day)


def buy(user: str, product_id: int, origin: Origin, *, days_later: int = 0) -> None:
    """View a product and buy it."""
    send(user, [event(product_id), event(product_id, "purchase")], origin, days_later=days_later)


def trending() -> dict[tuple[int, str], int]:
    """Return the hourly counts, by product and type."""
    rows = postgres.read("SELECT product_id, event_type, sum(event_count) FROM event_counts_hourly GROUP BY 1, 2")
    return {(row[0], row[1]): int(row[2]) for row in rows}


def popular() -> dict[int, int]:
    """Return the counted purchases by product."""
    rows = postgres.read("SELECT product_id, purchase_count FROM product_stats WHERE purchase_count > 0")
    return {row[0]: int(row[1]) for row in rows}


def purchases_in_lists(product_id: int) -> int:
    """Return how often a product was bought, where trending and popular agree about it."""
    assert trending().get((product_id, "purchase"), 0) == popular().get(product_id, 0)
    return popular().get(product_id, 0)


def own_purchases(user: str) -> dict[int, int]:
    rows = postgres.read(
        """SELECT product_id, purchase_count FROM user_purchases p JOIN users u ON u.id = p.user_id
           WHERE external_id = :user""",
        user=user,
    )
    return {row[0]: row[1] for row in rows}


def test_a_purchase_counts_after_its_visitor_viewed_or_carted_the_product() -> None:
    send("ann", [event(1), event(2, "add_to_cart"), event(3, "wishlist")], HOME)
    send("bob", [event(4)], HOME)
    send("ann", [event(product, "purchase") for product in (1, 2, 3, 4)], HOME)
    assert popular() == {1: 1, 2: 1}
    assert {key[0] for key in trending() if key[1] == "purchase"} == {1, 2}
    # for the visitor each counted at once
    assert own_purchases("ann") == {1: 1, 2: 1, 3: 1, 4: 1}


def test_a_view_of_the_same_message_counts_if_it_came_before() -> None:
    later = timedelta(minutes=1)
    send("ann", [event(1, ago=later), event(1, "purchase"), event(2), event(2, "purchase", ago=later)], HOME)
    assert popular() == {1: 1}
    assert trending() == {(1, "view"): 1, (1, "purchase"): 1, (2, "view"): 1}


def test_an_old_view_does_not_let_a_purchase_count() -> None:
    limit = timedelta(days=SEEN_WITHIN_DAYS)
    send("ann", [event(1, ago=limit - timedelta(hours=1)), event(2, ago=limit + timedelta(hours=1))], HOME)
    send("ann", [event(1, "purchase"), event(2, "purchase")], HOME)
    assert popular() == {1: 1}


def test_an_old_view_of_the_same_message_does_not_either() -> None:
    limit = timedelta(days=SEEN_WITHIN_DAYS)
    for product, ago in ((1, limit - timedelta(seconds=5)), (2, limit), (3, limit + timedelta(hours=1))):
        now = datetime.now(UTC)
        viewed, bought = event(product), event(product, "purchase")
        viewed["occurred_at"], bought["occurred_at"] = (now - ago).isoformat(), now.isoformat()
        send("ann", [viewed, bought], HOME)
    assert [purchases_in_lists(product) for product in (1, 2, 3)] == [1, 0, 0]


def test_what_a_guest_saw_lets_a_late_purchase_of_the_guest_count_after_the_merge() -> None:
    send("guest", [event(1)], HOME)
    send("account", [event(9)], HOME)
    postgres.write(
        """WITH ids AS (SELECT g.id AS guest, a.id AS account FROM users g, users a
                        WHERE g.external_id = 'guest' AND a.external_id = 'account'),
           moved AS (UPDATE events SET user_id = ids.account FROM ids WHERE user_id = ids.guest)
           UPDATE users SET merged_into = ids.account, merged_at = now() FROM ids WHERE id = ids.guest"""
    )
    late = [{"position": 0, **event(1, "purchase")}]
    published = datetime.now(UTC) - timedelta(minutes=1)
    assert ingestion.store("late", "guest", late, HOME, published_at=published).account_id == "account"
    purchase_counts.count("guest", late, HOME)
    # a stranger who never saw the product
    send("stranger", [event(1, "purchase")], OFFICE)
    assert purchases_in_lists(1) == 1


def test_a_visitor_counts_once_per_product_type_and_day() -> None:
    for _ in range(3):
        send("ann", [event(1), event(1), event(1, "add_to_cart"), event(1, "purchase"), event(1, "purchase")], HOME)
    send("ann", [event(2)], HOME)
    assert trending() == {(1, "view"): 1, (1, "add_to_cart"): 1, (1, "purchase"): 1, (2, "view"): 1}
    assert popular() == {1: 1}
    assert own_purchases("ann") == {1: 6}
    views = postgres.read("SELECT product_id, views FROM product_stats WHERE views > 0 ORDER BY 1")
    assert [tuple(row) for row in views] == [(1, 1), (2, 1)]
    buy("ann", 1, HOME, days_later=1)
    assert purchases_in_lists(1) == 2
    assert trending()[1, "view"] == 2


def test_the_repetitions_of_a_visitor_take_nothing_from_the_others_of_a_client() -> None:
    for _ in range(MAX_PER_CLIENT + 1):
        buy("ann", 1, HOME)
    for number in range(MAX_PER_CLIENT - 1):
        buy(f"colleague-{number}", 1, HOME)
    assert purchases_in_lists(1) == MAX_PER_CLIENT


@pytest.mark.parametrize("visitors", [MAX_PER_CLIENT - 1, MAX_PER_CLIENT, MAX_PER_CLIENT + 1])
def test_a_client_counts_so_often_per_product_and_day(visitors: int) -> None:
    for number in range(visitors):
        buy(f"visitor-{number}", 1, HOME)
    allowed = min(visitors, MAX_PER_CLIENT)
    assert (purchases_in_lists(1), trending()[1, "view"]) == (allowed, allowed)
    # another product, another client, the next day
    buy("bystander", 2, HOME)
    buy("bystander-2", 1, OFFICE)
    buy("bystander-3", 1, HOME, days_later=1)
    assert (purchases_in_lists(1), purchases_in_lists(2)) == (allowed + 2, 1)


def test_clients_that_are_unknown_are_one_client() -> None:
    for number in range(MAX_PER_CLIENT + 1):
        buy(f"visitor-{number}", 1, Origin())
    assert purchases_in_lists(1) == MAX_PER_CLIENT


def test_visitors_of_a_client_at_the_same_moment_count_up_to_its_bound() -> None:
    def visit(number: int) -> None:
        for product in (1, 2, 3, 4)[:: -1 if number % 2 else 1]:
            buy(f"visitor-{number}", product, HOME)

    run_concurrently(visit, range(4 * MAX_PER_CLIENT))
    assert [purchases_in_lists(product) for product in (1, 2, 3, 4)] == [MAX_PER_CLIENT] * 4
    assert [trending()[product, "view"] for product in (1, 2, 3, 4)] == [MAX_PER_CLIENT] * 4


def test_vouched_purchases_count_in_full_beside_unvouched_ones() -> None:
    send("ann", [event(1, "purchase")] * 2, HOME)
    for number in range(MAX_PER_CLIENT + 2):
        send(f"customer-{number}", [event(1, "purchase"), event(1, "purchase")], VOUCHED)
    assert purchases_in_lists(1) == 2 * (MAX_PER_CLIENT + 2)
    # they took nothing from the client
    for number in range(MAX_PER_CLIENT + 1):
        buy(f"visitor-{number}", 1, HOME)
    assert purchases_in_lists(1) == 2 * (MAX_PER_CLIENT + 2) + MAX_PER_CLIENT


def test_a_purchase_that_did_not_count_counts_once_it_is_vouched_for() -> None:
    reported, other = event(1, "purchase"), event(2, "purchase")
    send("ann", [reported, other], HOME)
    assert (trending(), popular()) == ({}, {})
    for _ in range(2):
        send("ann", [reported], VOUCHED)
    assert (trending(), popular()) == ({(1, "purchase"): 1}, {1: 1})
    assert own_purchases("ann") == {1: 1, 2: 1}
    assert postgres.read("SELECT product_id FROM events WHERE counted") == [(1,)]


def test_a_message_vouches_for_its_sender_s_own_events_alone() -> None:
    """Each message has an event that is known, so that the events of the sender are looked up."""
    shared, own = event(1, "purchase"), event(2, "purchase")
    send("ann", [shared], HOME)
    for _ in range(2):
        # the same id, which another person has used; it has a key of its own
        send("eve", [own, shared], VOUCHED)
    counted = """SELECT u.external_id, e.product_id FROM events e JOIN users u ON u.id = e.user_id
        WHERE counted ORDER BY 1, 2"""
    assert [tuple(row) for row in postgres.read(counted)] == [("eve", 1), ("eve", 2)]
    assert (trending(), popular()) == ({(1, "purchase"): 1, (2, "purchase"): 1}, {1: 1, 2: 1})


@pytest.mark.parametrize("other", [{"product_id": 3}, {"event_type": "wishlist"}])
def test_a_message_vouches_for_no_event_that_it_names_differently(other: dict[str, Any]) -> None:
    known, reported = event(1, "purchase"), event(2, "purchase")
    send("ann", [known, reported], HOME)
    events = [{"position": 0, **known}, {"position": 1, **reported, **other}]
    stored = ingestion.store("vouching", "ann", events, VOUCHED)
    assert (stored.new, stored.rejected) == (0, 1)
    assert trending() == {(1, "purchase"): 1}
    assert postgres.read("SELECT product_id FROM events WHERE counted") == [(1,)]


def test_a_purchase_that_is_vouched_for_by_messages_at_the_same_moment_counts_once() -> None:
    reported = event(1, "purchase")
    send("ann", [reported], HOME)
    run_concurrently(lambda _number: send("ann", [reported], VOUCHED), range(8))
    assert purchases_in_lists(1) == 1


def test_a_purchase_that_another_delivery_is_counting_is_left_to_it() -> None:
    reported = event(1, "purchase")
    send("ann", [reported], HOME)
    with ThreadPoolExecutor(1) as pool:
        with postgres.transaction() as connection:
            postgres.execute(connection, "UPDATE counted_purchases SET counted = true")
            counting = pool.submit(purchase_counts.count, "ann", [reported], VOUCHED)
            deadline = time.monotonic() + 60
            while not postgres.read(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                assert time.monotonic() < deadline, "nothing waits"
                time.sleep(0.01)
        assert counting.result(10) == []
    assert popular() == {}


def test_a_purchase_that_counted_does_not_count_again_when_it_is_vouched_for() -> None:
    viewed, bought = event(1), event(1, "purchase")
    send("ann", [viewed, bought], HOME)
    send("ann", [viewed, bought], VOUCHED)
    assert (trending(), popular()) == ({(1, "view"): 1, (1, "purchase"): 1}, {1: 1})


def test_a_message_that_is_delivered_again_changes_nothing() -> None:
    events = [event(1), event(1, "purchase"), event(2, "purchase"), event(None, "search")]
    states = []
    for days_later in (0, 0, 1):
        send("ann", events, HOME, days_later=days_later)
        caps = postgres.read("SELECT day, scope, product_id, count FROM daily_caps ORDER BY 1, 2, 3, 4")
        states.append((trending(), popular(), caps, postgres.read("SELECT event_id, counted FROM events ORDER BY 1")))
    assert states[0] == states[1] == states[2]
    assert states[0][1] == {1: 1}


def test_declared_crawlers_count_for_themselves_only() -> None:
    buy("crawler", 1, Origin(client="farm", crawler=True))
    send("crawler", [event(None, "search")], Origin(client="farm", crawler=True))
    assert postgres.read("SELECT count(*) FROM events WHERE counted")[0][0] == 0
    assert (trending(), popular(), own_purchases("crawler")) == ({}, {}, {1: 1})
    assert postgres.read("SELECT count(*) FROM user_preferences")[0][0] > 0
    buy("person", 1, Origin(client="farm"))
    assert purchases_in_lists(1) == 1


@pytest.mark.parametrize("messages", [1, 3])
def test_a_visitor_at_a_rate_that_no_person_has_counts_for_itself_only(messages: int) -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)

    def browse(user: str, number: int, *more: str) -> None:
        views = [event(product) | {"occurred_at": at.isoformat()} for product in range(1, number + 1)]
        views += [event(1, kind) | {"occurred_at": at.isoformat()} for kind in more]
        for part in range(messages):
            send(user, views[part::messages], HOME)

    browse("quick", MAX_EVENTS_PER_MINUTE, "purchase")
    quick = sum(trending().values())
    assert quick == MAX_EVENTS_PER_MINUTE + 1
    browse("machine", MAX_EVENTS_PER_MINUTE + 1)
    # what came before the visitor was known for a machine may have counted
    earlier = [range(MAX_EVENTS_PER_MINUTE + 1)[part::messages] for part in range(messages - 1)]
    assert sum(trending().values()) - quick == sum(map(len, earlier))
    before = trending()
    buy("machine", 150, HOME)
    assert (trending(), popular().get(150)) == (before, None)
    assert own_purchases("machine") == {150: 1}
    buy("person", 150, HOME)
    buy("machine", 151, HOME, days_later=1)
    assert (purchases_in_lists(150), purchases_in_lists(151)) == (1, 1)


def test_a_visitor_s_many_events_are_not_read_again_with_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of two events a year apart reads the minutes that it names, not the year between them."""
    send("hoarder", [event(1, ago=timedelta(days=300)), event(2)], HOME)
    stored = """
        INSERT INTO events (event_id, user_id, product_id, event_type, quantity, occurred_at, counted)
        SELECT gen_random_uuid(), u.id, 1, 'view', 1, now() - make_interval(mins => 90 * number), false
        FROM users u, generate_series(1, 3000) AS number WHERE u.external_id = 'hoarder'"""
    postgres.write(stored)
    plans: list[Any] = []
    run = postgres.run_prepared

    def explain(sql: str, **parameters: Any) -> list[Any]:
        plans.extend(row[0] for row in run(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", **parameters))
        return [(0, 0, None, 0)]

    message = [{"position": position, **each} for position, each in enumerate((event(1, ago=timedelta(300)), event(2)))]
    with monkeypatch.context() as patch:
        patch.setattr(ingestion.postgres, "run_prepared", explain)
        ingestion.store(str(uuid7()), "hoarder", message, HOME)
    assert rows_of_events(plans) < 200
    # the bystander: the visitor is still known for a machine by what is stored in a minute
    at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    views = [event(product) | {"occurred_at": at.isoformat()} for product in range(1, MAX_EVENTS_PER_MINUTE + 1)]
    send("hoarder", views, HOME)
    before = trending()
    send("hoarder", [event(150) | {"occurred_at": at.isoformat()}], HOME)
    assert trending() == before
    send("person", [event(150) | {"occurred_at": at.isoformat()}], HOME)
    assert trending() != before


def rows_of_events(plan: Any) -> float:
    """Return how many rows of the table events a plan read."""
    if isinstance(plan, list):
        return sum(map(rows_of_events, plan))
    if not isinstance(plan, dict):
        return 0
    own = plan["Actual Rows"] * plan["Actual Loops"] if str(plan.get("Relation Name", "")).startswith("events_2") else 0
    return own + sum(rows_of_events(value) for value in plan.values() if isinstance(value, (dict, list)))


def test_the_events_of_others_in_the_same_minute_make_nobody_a_machine() -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    for number in range(3):
        views = [event(product) | {"occurred_at": at.isoformat()} for product in range(1, MAX_EVENTS_PER_MINUTE + 1)]
        send(f"visitor-{number}", views, Origin(client=f"home-{number}"))
    assert sum(trending().values()) == 3 * MAX_EVENTS_PER_MINUTE


def test_a_minute_ends_where_the_next_begins() -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    for seconds in (59, 60):
        views = [
            event(product) | {"occurred_at": (at + timedelta(seconds=seconds)).isoformat()}
            for product in range(1, MAX_EVENTS_PER_MINUTE + 1)
        ]
        send("ann", views, HOME, days_later=seconds - 59)
    assert sum(trending().values()) == 2 * MAX_EVENTS_PER_MINUTE


def test_training_and_lists_read_what_counts() -> None:
    for user in ("ann", "bob"):
        send(user, [event(1), event(2), event(1, "purchase"), event(2, "purchase"), event(3, "purchase")], HOME)
    history = load_history(365, 100)
    assert sorted(history.product_ids[history.items].tolist()) == [1, 1, 1, 1, 2, 2, 2, 2]
    baskets = bought_together.read_baskets(days=365, max_basket=100)
    assert len(baskets.products) // 8 == 4
    with postgres.transaction() as connection:
        assert buy_again.replace_intervals(connection, days=365, min_gaps=1) == 2
    assert own_purchases("ann") == {1: 1, 2: 1, 3: 1}
