"""Redis away: what could not be dropped is dropped once it is back, and a lost epoch makes no old answer valid."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from redis import Redis

from local.chaos.proxy import Proxy
from shared.clients import postgres, redis_async, redis_sync
from shared.storage.answers import invalidation, popular_ranking, user_answers
from shared.storage.answers.missed import MISSED
from shared.storage.answers.protocol import EPOCHS, POPULAR, POPULAR_PRODUCTS, PRODUCTS, RECOMMENDATIONS, SIMILAR
from shared.storage.answers.shared_answers import cached
from tests.faulty_proxy import in_front_of
from tests.integration.conftest import settings_of
from tests.integration.tables import count_rows

T = TypeVar("T")
# within which answers are right after Redis is back
SOON_S = 10.0
PRODUCT_KEY = "products:one:1"


@pytest.fixture
def proxy(env: dict[str, str]) -> Iterator[Proxy]:
    with in_front_of(env["REDIS_URL"]) as (proxy, url), settings_of(env | {"REDIS_URL": url}):
        yield proxy


@pytest.fixture
def redis(env: dict[str, str]) -> Iterator["Redis"]:
    """The server itself, past the proxy."""
    with Redis.from_url(env["REDIS_URL"]) as direct:
        yield direct


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` on an event loop of its own, and close the connection that it opened."""

    async def closing() -> T:
        try:
            return await work()
        finally:
            redis_async.close()
            await asyncio.sleep(0)

    return asyncio.run(closing())


def store(*user_ids: str) -> None:
    async def work() -> None:
        for user_id in user_ids:
            before = await user_answers.read_before_computing(user_id, b"k=1")
            assert before is not None
            await user_answers.store(user_id, b"k=1", b"{}", b"{}", before)

    run(work)


def found(user_id: str) -> bool:
    async def work() -> bool:
        return await user_answers.find(user_id, b"k=1", gzipped=False) is not None

    return run(work)


def until(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < SOON_S
        time.sleep(0.1)


@pytest.mark.parametrize("fault", ["refuse", "stall"])
def test_what_redis_missed_is_dropped_once_it_is_back(proxy: Proxy, redis: "Redis", fault: str) -> None:
    store("user", "bystander")
    redis.set(PRODUCT_KEY, "old price")
    redis.set("copy", "of rows")
    before = redis.hgetall(EPOCHS)
    getattr(proxy, fault)()
    assert not invalidation.forget_users(["user"])
    assert not invalidation.forget_products([1])
    assert not invalidation.forget_keys(["copy"])
    assert not invalidation.flush(SIMILAR)
    if fault == "refuse":
        assert redis.exists("rec:user", PRODUCT_KEY, "copy") == 3
        # for the case that this process ends
        assert count_rows("missed_invalidations") == 3
    proxy.heal()
    # without any further write: the next one may be minutes away
    until(
        lambda: not redis.exists("rec:user", PRODUCT_KEY, "copy") and redis.hgetall(EPOCHS).get(b"similar") is not None
    )
    assert found("bystander")
    assert not found("user")
    after = redis.hgetall(EPOCHS)
    assert after.pop(b"similar") != before.get(b"similar")
    assert after == before
    until(lambda: count_rows("missed_invalidations") == 0)


@pytest.mark.parametrize("fault", ["refuse", "stall"])
def test_a_ranking_that_missed_a_change_is_dropped_once_redis_is_back(proxy: Proxy, redis: "Redis", fault: str) -> None:
    assert popular_ranking.replace([(1, 5, b'{"id":1,"price":9}'), (2, 4, b'{"id":2,"price":9}')])
    redis.set(PRODUCT_KEY, "bystander")
    getattr(proxy, fault)()
    assert not popular_ranking.refresh_products({1: b'{"id":1,"price":12}', 2: None})
    proxy.heal()
    until(lambda: not redis.exists(POPULAR, POPULAR_PRODUCTS))
    assert redis.get(PRODUCT_KEY) == b"bystander"
    # the next run of the job writes it, and nothing drops it again
    assert popular_ranking.replace([(1, 5, b'{"id":1,"price":12}')])
    time.sleep(2.5)
    assert run(lambda: popular_ranking.top(5)) == [({"id": 1, "price": 12}, 5.0)]


def test_a_fault_of_the_database_too_neither_fails_the_write_nor_ends_the_thread(proxy: Proxy, redis: "Redis") -> None:
    store("user", "bystander")
    postgres.write("ALTER TABLE missed_invalidations RENAME TO moved")
    proxy.refuse()
    assert not invalidation.forget_users(["user"])
    # a second attempt of the thread fails, too
    time.sleep(1.5)
    assert redis.exists("rec:user")
    proxy.heal()
    until(lambda: not redis.exists("rec:user"))
    assert found("bystander")
    postgres.write("ALTER TABLE moved RENAME TO missed_invalidations")


def test_the_next_write_carries_what_was_missed(proxy: Proxy, redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    # the thread does nothing, as on an instance without processor time between events
    monkeypatch.setattr(MISSED.again, "pause_s", 3600.0)
    store("user", "other", "bystander")
    proxy.refuse()
    assert not invalidation.forget_users(["user"])
    proxy.heal()
    assert invalidation.forget_users(["other"])
    assert [bool(redis.exists(f"rec:{user_id}")) for user_id in ("user", "other", "bystander")] == [False, False, True]
    assert count_rows("missed_invalidations") == 0


def test_a_computation_that_began_before_a_missed_event_is_not_stored_after_it(proxy: Proxy) -> None:
    async def work() -> None:
        before = await user_answers.read_before_computing("user", b"k=1")
        assert before is not None
        proxy.refuse()
        assert not await asyncio.to_thread(invalidation.forget_users, ["user"])
        proxy.heal()
        assert await asyncio.to_thread(invalidation.forget_users, ["other"])
        # the pause of the breaker
        await asyncio.sleep(redis_async.BREAKER_S)
        await user_answers.store("user", b"k=1", b"{}", b"{}", before)

    run(work)
    assert not found("user")


@pytest.mark.parametrize("way", ["next process", "job"])
def test_what_a_process_missed_before_it_ended_is_made_up_for(proxy: Proxy, redis: "Redis", way: str) -> None:
    store("user")
    redis.hset(EPOCHS, SIMILAR, "7")
    before = redis.hgetall(EPOCHS)
    proxy.refuse()
    assert not invalidation.forget_users(["user"])
    # the process ends: its memory is lost
    MISSED.forget()
    proxy.heal()
    if way == "job":
        assert invalidation.make_up_for_missed() == 1
    else:
        assert invalidation.forget_users(["other"])
    after = redis.hgetall(EPOCHS)
    assert after.pop(b"recommendations") != before.pop(b"recommendations")
    assert after == before == {b"similar": b"7"}
    assert not found("user")
    assert count_rows("missed_invalidations") == 0
    assert invalidation.make_up_for_missed() == 0


def test_a_lost_epoch_does_not_bring_old_answers_back(env: dict[str, str]) -> None:
    prices = iter([b"old", b"new", b"newer"])

    async def work() -> list[bytes]:
        bodies = []
        for change in (lambda: True, lambda: invalidation.flush(PRODUCTS)):
            await asyncio.to_thread(change)
            bodies.append((await cached(PRODUCTS, "key", ttl_s=60, compute=lambda: next(prices))).body)
        # the old answer is still there, under its epoch, as under another key
        redis_sync.client().set("key", b"0\nold")
        redis_sync.client().delete(EPOCHS)
        computed = await cached(PRODUCTS, "key", ttl_s=60, compute=lambda: next(prices))
        stored = await cached(PRODUCTS, "key", ttl_s=60, compute=lambda: next(prices))
        return [*bodies, computed.body, stored.body]

    assert run(work) == [b"old", b"new", b"newer", b"newer"]


def test_two_processes_begin_the_same_epoch(env: dict[str, str]) -> None:
    async def work() -> list[user_answers.Before | None]:
        return await asyncio.gather(*(user_answers.read_before_computing(name, b"k=1") for name in ("a", "b")))

    first, second = run(work)
    assert first is not None
    assert second is not None
    assert first.epoch_prefix == second.epoch_prefix
    stored = redis_sync.client().hget(EPOCHS, RECOMMENDATIONS)
    assert first.epoch_prefix == stored + b"\n"
    # an epoch that exists stays as it is
    assert run(work) == [first, second]
