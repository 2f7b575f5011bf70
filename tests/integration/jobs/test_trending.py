"""The job that scores what is trending."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from shared.clients import postgres, redis_sync
from shared.domain.events import EventType
from shared.domain.trending import WINDOWS, score
from shared.storage.answers import protocol
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products


def scores(window: str) -> dict[int, tuple[float, int]]:
    rows = postgres.read("SELECT product_id, score, event_count FROM trending_scores WHERE time_window = :w", w=window)
    return {row[0]: (row[1], row[2]) for row in rows}


def test_scores_are_those_of_the_formula(env: object, serve: Serve) -> None:
    ids = add_plain_products(4, inactive=[3])
    events = [
        StoredEvent("a", ids[0], "view", 0),
        StoredEvent("b", ids[0], "view", 0),
        StoredEvent("a", ids[0], "purchase", 30),
        StoredEvent("a", ids[1], "add_to_cart", 24 * 8),
        StoredEvent("a", ids[1], "remove_from_cart", 2),
        StoredEvent("a", ids[2], "purchase", 24 * 31),
        StoredEvent("a", ids[3], "purchase", 1),
        StoredEvent("a", None, "search", 1),
    ]
    before = datetime.now(UTC)
    add_events(events)
    answer = serve("trending").post("/", json={})
    assert answer.status_code == 200
    if datetime.now(UTC).hour != before.hour:
        pytest.skip("the hour changed between the events and the job")
    assert answer.json()["products"] == {"7d": 1, "30d": 2}

    for window in WINDOWS:
        expected = {}
        for product in ids[:3]:
            of_product = [
                (EventType(event.event_type), before - timedelta(hours=event.hours_ago))
                for event in events
                if event.product == product
            ]
            value = score(window, of_product, before)
            if value:
                expected[product] = value
        stored = scores(window.name)
        assert {product: value for product, (value, _count) in stored.items()} == pytest.approx(expected)
    # what weighs nothing is no event of a trend
    assert scores("30d")[ids[1]][1] == 1


def test_a_window_ends_with_its_last_hour(env: object, serve: Serve) -> None:
    ids = add_plain_products(4)
    hours_ago = (24 * 7 - 1, 24 * 7, 24 * 30 - 1, 24 * 30)
    before = datetime.now(UTC)
    add_events([StoredEvent("a", product, "view", hours) for product, hours in zip(ids, hours_ago, strict=True)])
    assert serve("trending").post("/", json={}).status_code == 200
    if datetime.now(UTC).hour != before.hour:
        pytest.skip("the hour changed between the events and the job")
    assert scores("7d").keys() == {ids[0]}
    assert scores("30d").keys() == set(ids[:3])


def test_a_product_that_is_no_longer_active_or_bought_leaves(env: object, serve: Serve) -> None:
    ids = add_plain_products(2)
    add_events([StoredEvent("a", ids[0]), StoredEvent("a", ids[1])])
    job = serve("trending")
    job.post("/", json={})
    assert scores("7d").keys() == set(ids)
    postgres.write("UPDATE products SET is_active = false WHERE id = :id", id=ids[0])
    assert job.post("/", json={}).json()["products"] == {"7d": 1, "30d": 1}
    assert scores("7d").keys() == scores("30d").keys() == {ids[1]}


def test_an_empty_shop_has_no_trends(env: object, serve: Serve) -> None:
    assert serve("trending").post("/", json={}).json()["products"] == {"7d": 0, "30d": 0}


def test_answers_made_from_the_old_scores_are_dropped(env: object, serve: Serve) -> None:
    before = redis_sync.client().hget(protocol.EPOCHS, "trending")
    answer = serve("trending").post("/", json={})
    assert answer.json()["cache_flushed"] is True
    assert redis_sync.client().hget(protocol.EPOCHS, "trending") != before


def test_readers_never_see_a_window_empty(env: object, serve: Serve) -> None:
    ids = add_plain_products(50)
    add_events([StoredEvent("a", product) for product in ids])
    job = serve("trending")
    job.post("/", json={})
    seen, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(postgres.read("SELECT count(*) FROM trending_scores WHERE time_window = '7d'")[0][0])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(10):
            assert job.post("/", json={}).status_code == 200
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 10
    assert set(seen) == {50}


def test_an_unknown_parameter_is_refused(env: object, serve: Serve) -> None:
    answer = serve("trending").post("/", json={"window": "1d"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
