"""Which stored answers are outdated, and what storing them anew leaves alone: answers that are valid by now."""

import pytest

from shared.clients import redis_sync
from shared.settings import settings
from shared.storage.answers import answers_ahead, invalidation, user_answers
from shared.storage.answers.answers_ahead import QUERIES_MAX, find_outdated
from shared.storage.answers.protocol import RECOMMENDATIONS, user_key
from tests.integration.storage.answers.test_answers import run

pytestmark = pytest.mark.usefixtures("env")
BODY = b'{"of": "a request"}'


def store(user: str, *queries: bytes) -> None:
    """Store answers of a user as requests do."""

    async def work() -> None:
        for query in queries:
            before = await user_answers.read_before_computing(user, query)
            assert before is not None
            await user_answers.store(user, query, b"request " + query, BODY, before)

    run(work)


def find(user: str, query: bytes) -> bytes | None:
    return run(lambda: user_answers.find(user, query, gzipped=False))


def test_only_outdated_answers_are_found() -> None:
    store("ada", b"k=1", b"k=2")
    store("ben", b"k=1")
    assert find_outdated(["ada", "ben"]) == []
    assert invalidation.flush(RECOMMENDATIONS)
    # Ben asks again, and Ada asks one of her two questions
    store("ben", b"k=1")
    store("ada", b"k=2")
    (outdated,) = find_outdated(["nobody", "ben", "ada"])
    assert outdated.user_id == "ada"
    assert outdated.requests == {b"k=1": b"request k=1"}


def test_a_user_has_so_many_answers_computed_ahead_and_no_more() -> None:
    store("ada", *(b"k=%d" % number for number in range(QUERIES_MAX)))
    store("ben", *(b"k=%d" % number for number in range(QUERIES_MAX + 1)))
    assert invalidation.flush(RECOMMENDATIONS)
    ada, ben = find_outdated(["ada", "ben"])
    assert len(ada.requests) == QUERIES_MAX
    # the same ones each time
    assert list(ben.requests) == list(ada.requests)


def test_an_answer_of_a_request_that_came_meanwhile_stays() -> None:
    store("ada", b"k=1", b"k=2")
    assert invalidation.flush(RECOMMENDATIONS)
    (outdated,) = find_outdated(["ada"])
    store("ada", b"k=1")
    redis_sync.client().expire(user_key("ada"), 20)
    assert not answers_ahead.store(outdated, b"k=1", b"request k=1", b'"ahead"')
    assert answers_ahead.store(outdated, b"k=2", b"request k=2", b'"ahead"')
    assert find("ada", b"k=1") == BODY
    assert find("ada", b"k=2") == b'"ahead"'
    # no answer gets older than the time to live allows: it counts from the first valid one
    assert redis_sync.client().ttl(user_key("ada")) <= 20


def test_the_time_to_live_counts_from_the_first_answer() -> None:
    store("ada", b"k=1")
    assert settings().recommendation_ttl_s - 60 < redis_sync.client().ttl(user_key("ada"))
    redis_sync.client().expire(user_key("ada"), 20)
    store("ada", b"k=2")
    assert redis_sync.client().ttl(user_key("ada")) <= 20
