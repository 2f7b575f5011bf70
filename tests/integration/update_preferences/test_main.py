"""Events are applied once, in whatever order and however often they are delivered."""

import itertools
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared import messages
from shared.clients import postgres, redis_sync
from shared.domain.preferences import Decayed, merge
from shared.storage.answers import popular_ranking
from tests.integration.concurrency import run_concurrently
from tests.integration.conftest import Serve, settings_of
from tests.integration.deliveries import deliver, event, push
from tests.integration.shop import add_products, now


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products()
    return serve("update_preferences")


def rows(table: str, columns: str = "*", order: str = "1, 2, 3") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in postgres.read(f"SELECT {columns} FROM {table} ORDER BY {order}")]


def left() -> str:
    """Return the factor that decays a stored sum to now: equal states may be stored as of different times."""
    return f"power(2::float8, -extract(epoch FROM timestamptz '{now().isoformat()}' - as_of)::float8 / 1209600)"


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that an event changes, rounded where the order of addition may matter."""
    return {
        "events": rows("events", "event_id, product_id, event_type, occurred_at"),
        "hourly": rows("event_counts_hourly", "hour, product_id, event_type, event_count"),
        "stats": rows("product_stats", "product_id, views, purchase_count"),
        "purchases": rows("user_purchases"),
        "likes": rows("user_preferences", f"kind, key, round((score * {left()})::numeric, 6)"),
        "price": rows(
            "user_price_bands", f"round((weight * {left()})::numeric, 6), round((log_sum * {left()})::numeric, 6)", "1"
        ),
    }


def test_a_message_is_stored_and_updates_preferences(client: httpx.Client) -> None:
    bought = event(2, "purchase", metadata={"quantity": 3})
    assert deliver(client, "u1", event(1), bought).status_code == 200
    assert rows("events", "product_id, event_type, quantity", "1") == [(1, "view", 1), (2, "purchase", 3)]
    assert rows("product_stats", "product_id, views, purchase_count", "1") == [(1, 1, 0)]
    assert rows("user_purchases", "product_id, purchase_count", "1") == [(2, 1)]
    likes = {(kind, key): score for kind, key, score in rows("user_preferences", "kind, key, score", "1, 2")}
    assert likes["brand", "Brand 1"] == pytest.approx(1)
    assert likes["brand", "Brand 2"] == pytest.approx(5)
    assert likes["tag", "tag2"] == pytest.approx(5)


def test_a_redelivered_message_changes_nothing(client: httpx.Client) -> None:
    message = (event(1), event(2, "purchase"))
    deliver(client, "u1", *message)
    before = everything()
    for _ in range(3):
        assert deliver(client, "u1", *message).status_code == 200
    assert everything() == before


def test_an_event_counts_once_under_two_timestamps_and_twice_in_one_message(client: httpx.Client) -> None:
    bought = event(1, "purchase", event_id="order-1-line-1")
    deliver(client, "u1", bought, bought)
    deliver(client, "u1", bought | {"timestamp": (now() - timedelta(days=40)).isoformat()})
    assert rows("user_purchases", "purchase_count", "1") == [(1,)]
    assert len(rows("events", "event_id", "1")) == 1


def test_the_state_does_not_depend_on_the_order_or_split_of_events(
    env: dict[str, str], services: Any, serve: Serve
) -> None:
    events = [
        event(1, ago=timedelta(days=30)),
        event(1, "purchase", ago=timedelta(days=3)),
        event(3, "add_to_cart"),
        event(2),
    ]
    states = []
    for number, order in enumerate([*itertools.islice(itertools.permutations(events), 0, 24, 5), None]):
        with services.clean() as fresh, settings_of(fresh):
            add_products()
            client = serve("update_preferences")
            for single_event in order or ():
                deliver(client, "u1", single_event)
            if order is None:
                deliver(client, "u1", *events)
            states.append(everything())
        assert states[number] == states[0]


def test_the_sql_computes_the_same_preferences_as_the_domain(client: httpx.Client) -> None:
    ages = [timedelta(days=20), timedelta(0), timedelta(days=5), timedelta(days=3000)]
    expected: Decayed | None = None
    for age in ages:
        deliver(client, "u1", event(1, "add_to_cart", ago=age))
        decayed = Decayed(3.0, now() - age)
        expected = decayed if expected is None else merge(expected, decayed)
    assert expected is not None
    ((score, as_of),) = rows("user_preferences WHERE kind = 'category'", "score, as_of", "1")
    assert score == pytest.approx(expected.score)
    assert as_of == expected.as_of


def test_events_that_can_never_succeed_are_rejected_with_a_reason_and_acknowledged(client: httpx.Client) -> None:
    answer = deliver(client, "u1", event(1), event(999), event(2, "gaze"), event(None), message_id="m1")
    assert answer.status_code == 200
    assert rows("events", "product_id", "1") == [(1,)]
    rejected = rows("rejected_events", "position, reason", "1")
    assert [position for position, _ in rejected] == [1, 2, 3]
    assert rejected[0][1] == "unknown product 999"
    assert "event_type" in rejected[1][1]
    deliver(client, "u1", event(999), message_id="m1")
    push(client, b"not json", {"schema": "user-events/1"}, message_id="m2")
    push(client, b"\xff\x00", {"schema": "user-events/1"}, message_id="m3")
    push(client, *messages.user_events("u", [event(1)])[:1], {"schema": "user-events/9"}, message_id="m4")
    assert {row[0] for row in rows("rejected_events WHERE position = -1", "message_id", "1")} == {"m2", "m3", "m4"}


def test_a_search_is_an_event_without_a_product(client: httpx.Client) -> None:
    deliver(client, "u1", event(None, "search", metadata={"query": "heart"}))
    assert rows("events", "event_type, product_id, metadata", "1") == [("search", None, {"query": "heart"})]
    assert rows("event_counts_hourly") == []


def test_events_older_than_every_partition_are_stored(client: httpx.Client) -> None:
    deliver(client, "u1", event(1, ago=timedelta(days=5000)))
    assert len(rows("events", "event_id", "1")) == 1
    postgres.write(
        "SELECT ensure_event_partitions(cast(:day AS date), cast(:day AS date))",
        day=(now() - timedelta(days=5000)).date(),
    )
    assert rows("events_default", "event_id", "1") == []
    assert len(rows("events", "event_id", "1")) == 1


def test_the_stored_answers_of_the_user_are_dropped(client: httpx.Client) -> None:
    redis = redis_sync.client()
    redis.hset("rec:u1", "query", "answer")
    redis.hset("rec:u2", "query", "answer")
    deliver(client, "u1", event(1))
    assert redis.exists("rec:u1") == 0
    assert redis.exists("rec:u2") == 1


def test_events_are_stored_while_redis_is_unavailable(env: dict[str, str], client: httpx.Client, serve: Serve) -> None:
    with settings_of(env | {"REDIS_URL": "redis://127.0.0.1:9/0"}):
        assert deliver(serve("update_preferences"), "u1", event(1)).status_code == 200
        assert len(rows("events", "event_id", "1")) == 1


def test_while_postgres_is_unavailable_the_message_is_redelivered(env: dict[str, str], serve: Serve) -> None:
    with settings_of(env | {"DATABASE_URL": "postgresql+pg8000://nobody@127.0.0.1:9/x"}):
        client = serve("update_preferences")
        client._transport = httpx.WSGITransport(client._transport.app, raise_app_exceptions=False)  # type: ignore[attr-defined]
        assert deliver(client, "u1", event(1)).status_code == 500


def test_concurrent_messages_about_the_same_products_are_all_counted(client: httpx.Client, serve: Serve) -> None:
    def shop(number: int) -> list[int]:
        function = serve("update_preferences")
        statuses = []
        for turn in range(10):
            products = [(number + turn + step) % 10 + 1 for step in range(5)]
            purchases = [event(product, "purchase") for product in products]
            statuses.append(deliver(function, f"u{number}", *purchases, event(products[0])).status_code)
        return statuses

    assert run_concurrently(shop, range(8)) == [[200] * 10] * 8
    assert rows("events", "count(*)", "1") == [(480,)]
    assert rows("product_stats", "sum(views)", "1") == [(80,)]
    assert rows("event_counts_hourly", "sum(event_count)", "1") == [(480,)]


def test_purchases_are_counted_once_in_postgres_and_in_the_live_ranking(client: httpx.Client, serve: Serve) -> None:
    popularity = serve("update_popularity")
    popular_ranking.replace([(1, 0, b"{}"), (2, 0, b"{}")])
    message = (event(1, "purchase"), event(1, "purchase"), event(2, "purchase"), event(3, "purchase"), event(1))
    for _ in range(3):
        assert deliver(popularity, "u1", *message).status_code == 200
    assert rows("product_stats", "product_id, purchase_count", "1") == [(1, 2), (2, 1), (3, 1)]
    assert redis_sync.client().zrevrange("popular", 0, -1, withscores=True) == [(b"1", 2.0), (b"2", 1.0)]
