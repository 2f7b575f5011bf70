"""Stored answers: computed once, and never valid after a change that happened during their computation."""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import pytest

from shared.clients import redis_async, redis_sync
from shared.storage.answers import invalidation, popular_ranking, user_answers
from shared.storage.answers.shared_answers import SharedAnswer, cached

T = TypeVar("T")
pytestmark = pytest.mark.usefixtures("env")


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` on an event loop of its own, and close the connection that it opened."""

    async def closing() -> T:
        try:
            return await work()
        finally:
            redis_async.close()
            await asyncio.sleep(0)

    return asyncio.run(closing())


def counted(effect: Callable[[], object] = lambda: None) -> tuple[Callable[[], bytes], list[bytes]]:
    """Return a computation with an effect, and the list of its results so far."""
    results: list[bytes] = []

    def compute() -> bytes:
        effect()
        results.append(b"%d" % len(results))
        return results[-1]

    return compute, results


def test_concurrent_requests_compute_once_and_later_ones_not_at_all() -> None:
    compute, results = counted(lambda: time.sleep(0.1))

    async def work() -> list[SharedAnswer]:
        requests = [cached("similar", "key", ttl_s=60, compute=compute) for _ in range(8)]
        return [*await asyncio.gather(*requests), await cached("similar", "key", ttl_s=60, compute=compute)]

    assert run(work) == [(b"0", False)] * 8 + [(b"0", True)]
    assert results == [b"0"]
    epoch = redis_sync.client().hget("epochs", "similar")
    assert redis_sync.client().get("key") == epoch + b"\n0"
    assert 0 < redis_sync.client().ttl("key") <= 60


def test_an_error_reaches_every_waiting_request_and_nothing_is_stored() -> None:
    def fail() -> bytes:
        time.sleep(0.1)
        raise LookupError("no such product")

    async def work() -> list[SharedAnswer | BaseException]:
        requests = [cached("similar", "key", ttl_s=60, compute=fail) for _ in range(3)]
        return await asyncio.gather(*requests, return_exceptions=True)

    assert [type(result) for result in run(work)] == [LookupError] * 3
    assert redis_sync.client().exists("key") == 0


def test_an_answer_computed_across_a_flush_is_not_valid() -> None:
    compute, results = counted(lambda: invalidation.flush("similar") if not results else None)

    async def work() -> list[SharedAnswer]:
        return [await cached("similar", "key", ttl_s=60, compute=compute) for _ in range(3)]

    assert run(work) == [(b"0", False), (b"1", False), (b"1", True)]


@pytest.mark.parametrize(
    ("change", "stored"),
    [
        (lambda: True, True),
        (lambda: invalidation.forget_users(["other"]), True),
        (lambda: invalidation.forget_users(["user"]), False),
        (lambda: invalidation.flush("recommendations"), False),
        (lambda: invalidation.flush("trending"), True),
        (invalidation.flush, False),
    ],
)
def test_a_personal_answer_is_valid_only_if_nothing_changed_during_its_computation(
    change: Callable[[], bool], stored: bool
) -> None:
    body = b'{"padding": "%s"}' % (b"x" * user_answers.GZIP_FROM_BYTES)

    async def work() -> list[bytes | None]:
        before = await user_answers.read_before_computing("user", b"k=1")
        assert before is not None
        assert before.body is None
        assert change()
        await user_answers.store("user", b"k=1", b"{}", body, before)
        return [await user_answers.find("user", b"k=1", gzipped=gzipped) for gzipped in (False, True)]

    plain, gzipped = run(work)
    assert plain == (body if stored else None)
    assert (gzipped and gzip.decompress(gzipped)) == (body if stored else None)


def test_an_answer_to_a_very_long_query_is_not_stored() -> None:
    query = b"x" * (user_answers.MAX_QUERY_BYTES + 1)

    async def work() -> bytes | None:
        before = await user_answers.read_before_computing("user", query)
        assert before is not None
        await user_answers.store("user", query, b"{}", b"{}", before)
        return await user_answers.find("user", query, gzipped=False)

    assert run(work) is None


def test_the_ranking_counts_only_products_it_contains_and_drops_inactive_ones() -> None:
    assert popular_ranking.replace([(1, 5, b'{"id":1}'), (2, 4, b'{"id":2}'), (3, 3, b'{"id":3}')])
    assert popular_ranking.count_purchases([(2, 7), (9, 100)])
    assert popular_ranking.refresh_products({1: None, 3: b'{"id":3,"name":"new"}', 9: b'{"id":9}'})
    assert run(lambda: popular_ranking.top(10)) == [({"id": 2}, 11.0), ({"id": 3, "name": "new"}, 3.0)]
    assert run(lambda: popular_ranking.top(1)) == [({"id": 2}, 11.0)]


@pytest.mark.parametrize(("k", "ids"), [(1, [1]), (2, [1, 4]), (3, [1, 4, 5]), (9, [1, 4, 5])])
def test_a_ranking_whose_products_have_joined_a_group_is_read_until_k_remain(
    env: object, k: int, ids: list[int]
) -> None:
    groups = {1: "shirt", 2: "shirt", 3: "shirt", 4: "mug", 5: None}
    bodies = {n: orjson.dumps({"id": n, "item_group_id": group}) for n, group in groups.items()}
    assert popular_ranking.replace([(n, 10 - n, body) for n, body in bodies.items()])
    assert [product["id"] for product, _purchases in run(lambda: popular_ranking.top(k))] == ids
