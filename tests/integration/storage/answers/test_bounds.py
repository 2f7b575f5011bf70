"""What requests without a credential write to Redis expires, and is bounded per client."""

from collections import Counter

import pytest
from redis import Redis

from shared.gates import acting_for
from shared.settings import settings
from shared.storage.answers import client_budget
from shared.storage.answers.missed import GENERATION_TTL_S
from shared.storage.answers.user_answers import MAX_FIELDS, MAX_QUERY_BYTES
from tests.integration.conftest import Serve, settings_of
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_products

VISITORS = 1000
# seconds that a key of each kind may live
LIFETIMES = {"rec": 3600, "recgen": GENERATION_TTL_S, "rate": 120, "products": 3600, "keys": 3600}
# for each visitor: ten products as JSON, stored twice, and the counter of changes
BYTES_PER_VISITOR = 16_384


@pytest.fixture
def redis(env: dict[str, str]) -> Redis:
    """A client of the cache itself."""
    return Redis.from_url(env["REDIS_URL"])


def lifetimes(redis: Redis) -> dict[str, float]:
    """Return the seconds that each key still lives; infinite without an end."""
    names = list(redis.scan_iter(count=1000))
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.ttl(name)
    return {
        name.decode(): float("inf") if left < 0 else left for name, left in zip(names, pipeline.execute(), strict=True)
    }


def size(redis: Redis) -> int:
    pipeline = redis.pipeline(transaction=False)
    for name in redis.scan_iter(count=1000):
        pipeline.memory_usage(name, samples=0)
    return sum(pipeline.execute())


def test_a_client_s_answers_beyond_its_budget_are_not_stored(
    env: dict[str, str], serve: Serve, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_products(20)
    with settings_of(env | {"TRUSTED_PROXIES": "1"}):
        recommendations, products = serve("recommendations"), serve("products")

        def ask(client: str, user: str) -> str:
            path = f"/recommendations?user_id={user}&k=10"
            return recommendations.get(path, headers={"X-Forwarded-For": client}).headers["cache-status"]

        def search(client: str, price: int) -> str:
            path = f"/products?min_price={price}"
            return products.get(path, headers={"X-Forwarded-For": client}).headers["cache-status"]

        assert [ask("198.51.100.7", "one") for _ in range(2)] == ["aisle; fwd=miss", "aisle; hit"]
        # ids and times make one answer a few bytes longer than another
        monkeypatch.setattr(client_budget, "MAX_BYTES", client_budget.BUDGET.stored["198.51.100.7"] + 100)
        assert [ask("198.51.100.7", "two") for _ in range(2)] == ["aisle; fwd=miss"] * 2
        assert [search("198.51.100.7", 1) for _ in range(2)] == ["aisle; fwd=miss"] * 2
        # what is stored is still read, and another client's answers are stored
        assert ask("198.51.100.7", "one") == "aisle; hit"
        assert [ask("203.0.113.9", "two") for _ in range(2)] == ["aisle; fwd=miss", "aisle; hit"]
        assert ask("198.51.100.7", "two") == "aisle; hit"


def test_a_budget_ends_with_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = client_budget.ClientBudget()
    most = client_budget.MAX_BYTES
    now = [client_budget.WINDOW_S * 7.0]
    monkeypatch.setattr(client_budget.time, "time", lambda: now[0])
    with acting_for("a"):
        assert [budget.take(most - 1), budget.take(2), budget.take(1), budget.take(1)] == [True, False, True, False]
        with acting_for("b"):
            assert budget.take(most)
        with acting_for(None):
            assert budget.take(most + 1)
        now[0] += client_budget.WINDOW_S - 1
        assert not budget.take(1)
        now[0] += 1
        assert budget.take(most)


def test_a_thousand_visitors_leave_keys_that_expire(env: dict[str, str], serve: Serve, redis: Redis) -> None:
    add_products(20)
    recommendations, consumer = serve("recommendations"), serve("update_preferences")
    empty = size(redis)
    for number in range(VISITORS):
        visitor = f"made-up-{number}"
        assert recommendations.get("/recommendations", params={"user_id": visitor, "k": 10}).status_code == 200
        if number % 10 == 0:
            assert deliver(consumer, visitor, event(1)).status_code == 200
    left = lifetimes(redis)
    kinds = Counter(name.partition(":")[0] for name in left)
    assert kinds["rec"] == VISITORS * 9 // 10
    assert kinds["recgen"] == VISITORS // 10
    # one client: a counter of its requests for each function and minute
    assert kinds["rate"] <= 6
    endless = {name for name, seconds in left.items() if seconds > LIFETIMES.get(name.partition(":")[0], 0)}
    # flushing a scope counts up in one hash that everybody shares
    assert endless <= {"epochs"}
    assert all(seconds <= settings().recommendation_ttl_s for name, seconds in left.items() if name.startswith("rec:"))
    assert size(redis) - empty <= VISITORS * BYTES_PER_VISITOR


def test_one_visitor_has_a_bounded_number_of_answers(env: dict[str, str], serve: Serve, redis: Redis) -> None:
    add_products(20)
    recommendations = serve("recommendations")
    bystander = {"user_id": "bystander", "k": 3}
    recommendations.get("/recommendations", params=bystander)
    before = redis.hgetall("rec:bystander")
    for number in range(3 * MAX_FIELDS):
        parameters = {"user_id": "visitor", "k": 1 + number % 100, "product_id": 1 + number % 20}
        assert recommendations.get("/recommendations", params=parameters).status_code == 200
        # an answer is stored plain and gzipped, with its request
        assert redis.hlen("rec:visitor") <= MAX_FIELDS
    long = {"user_id": "long", "exclude": ",".join(["1"] * MAX_QUERY_BYTES)}
    recommendations.get("/recommendations", params=long)
    assert redis.exists("rec:long") == 0
    assert redis.hgetall("rec:bystander") == before
