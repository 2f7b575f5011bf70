"""After a new model version, the answers of the most active users are there before they are requested."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared import answers_ahead
from shared.answers_ahead import compute_ahead
from shared.clients import postgres, redis_sync
from shared.errors import DatabaseUnavailable
from shared.selection import RecommendationsRequest, packed_request, request_of
from shared.settings import settings
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import MODEL_SCOPES, PRODUCTS, user_key
from shared.storage.recommending import models
from tests.integration.conftest import Environment, Serve, settings_of
from tests.integration.shop import add_events, add_plain_products, checkerboard_views

HIT = "aisle; hit"


@pytest.fixture
def shop(env: Environment, serve: Serve) -> Iterator[httpx.Client]:
    """The recommendations function over a checkerboard of 8 users and 6 products, before its first model."""
    # a machine that is busy with other tests must not look like a Redis that is away
    with settings_of({"REDIS_TIMEOUT_S": "10"}):
        add_events(checkerboard_views(add_plain_products(6), 8))
        yield serve("recommendations")


def ask(client: httpx.Client, user: str, **parameters: Any) -> tuple[bool, int | None]:
    """Return whether an answer was stored before, and the version that it comes from."""
    answer = client.get("/recommendations", params={"user_id": user, "k": 3, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.headers["Cache-Status"] == HIT, answer.json()["model_version"]


def publish(serve: Serve) -> dict[str, Any]:
    answer = serve("similarity").post("/", json={})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    assert result["outcome"] == "published"
    return result


def test_the_first_request_after_a_publication_is_a_hit_of_the_new_version(shop: httpx.Client, serve: Serve) -> None:
    assert ask(shop, "u0") == (False, None)
    assert ask(shop, "u0") == (True, None)
    result = publish(serve)
    assert result["ahead"] == {"users": 1, "answers": 1}
    assert ask(shop, "u0") == (True, result["version"])
    # whoever has asked for nothing lately is computed as before
    assert ask(shop, "u1") == (False, result["version"])


def test_an_answer_ahead_is_the_one_that_a_request_computes(shop: httpx.Client, serve: Serve) -> None:
    parameters = {"explain": "true", "exclude": "1", "latitude": "1.5", "longitude": "2.5", "in_stock": "true"}
    ask(shop, "u0", **parameters)
    publish(serve)

    def body() -> dict[str, Any]:
        answer: dict[str, Any] = shop.get("/recommendations", params={"user_id": "u0", "k": 3, **parameters}).json()
        return {name: value for name, value in answer.items() if name not in ("recommendation_id", "generated_at")}

    ahead = body()
    redis_sync.client().delete(user_key("u0"))
    assert ahead == body()


def test_the_most_active_users_come_first_and_the_others_are_computed_as_before(
    shop: httpx.Client, serve: Serve
) -> None:
    ask(shop, "u2")
    for k in (4, 5):
        ask(shop, "u4", k=k)
    with settings_of({"ANSWERS_AHEAD_USERS": "1"}):
        result = publish(serve)
    assert result["ahead"] == {"users": 1, "answers": 2}
    assert ask(shop, "u4", k=4) == (True, result["version"])
    assert ask(shop, "u4", k=5) == (True, result["version"])
    assert ask(shop, "u2") == (False, result["version"])


def test_none_is_computed_if_the_shop_wants_none(shop: httpx.Client, serve: Serve) -> None:
    ask(shop, "u0")
    with settings_of({"ANSWERS_AHEAD_USERS": "0"}):
        result = publish(serve)
    assert result["ahead"] == {"users": 0, "answers": 0}
    assert ask(shop, "u0") == (False, result["version"])


def test_time_is_bounded_and_a_second_run_goes_on(
    shop: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = ["u0", "u1", "u2"]
    for user in users:
        ask(shop, user)
    publish(serve)
    invalidation.flush(*MODEL_SCOPES)
    compute, computed = answers_ahead.recommend, []

    def in_time(request: RecommendationsRequest) -> bytes:
        computed.append(request.user_id)
        # the deadline passes while the second answer is computed
        if len(computed) == 2:
            monkeypatch.setattr(answers_ahead, "monotonic", lambda: float("inf"))
        return compute(request)

    monkeypatch.setattr(answers_ahead, "recommend", in_time)
    monkeypatch.setattr(answers_ahead, "SLOW_S", float("inf"))
    monkeypatch.setattr(answers_ahead, "sleep", lambda _s: None)
    assert compute_ahead() == {"users": 2, "answers": 2, "ended": "out of time"}
    monkeypatch.undo()
    assert compute_ahead() == {"users": 1, "answers": 1}
    assert compute_ahead() == {"users": 0, "answers": 0}
    assert sorted(computed) != users
    assert all(ask(shop, user)[0] for user in users)


def test_a_busy_database_is_left_to_requests(shop: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for user in ("u0", "u1"):
        ask(shop, user)
    publish(serve)
    invalidation.flush(*MODEL_SCOPES)
    monkeypatch.setattr(answers_ahead, "SLOW_S", 0.0)
    done = compute_ahead()
    assert done == {"users": 1, "answers": 1, "ended": "the database is busy"}
    assert sum(ask(shop, user)[0] for user in ("u0", "u1")) == 1


def test_the_connection_rests_as_long_as_an_answer_took(
    shop: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop, "u0")
    publish(serve)
    invalidation.flush(*MODEL_SCOPES)
    rests: list[float] = []
    monkeypatch.setattr(answers_ahead, "sleep", rests.append)
    clock = iter(range(0, 100, 5))
    monkeypatch.setattr(answers_ahead, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(answers_ahead, "SLOW_S", 10.0)
    compute_ahead()
    assert rests == [5.0]


def test_what_a_user_does_meanwhile_wins(shop: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for user in ("u0", "u1"):
        ask(shop, user)
    version = publish(serve)["version"]
    invalidation.flush(*MODEL_SCOPES)
    compute = answers_ahead.recommend

    def act(request: RecommendationsRequest) -> bytes:
        body = compute(request)
        if request.user_id == "u0":
            invalidation.forget_users(["u0"])
        return body

    monkeypatch.setattr(answers_ahead, "recommend", act)
    assert compute_ahead() == {"users": 1, "answers": 1}
    assert ask(shop, "u0") == (False, version)
    assert ask(shop, "u1") == (True, version)


def test_a_user_who_is_erased_meanwhile_leaves_no_row_in_the_log(
    shop: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("u0", "u1"):
        ask(shop, user)
    publish(serve)
    invalidation.flush(*MODEL_SCOPES)
    find = answers_ahead.answers_ahead.find_outdated

    def erase(users: list[str]) -> Any:
        found = find(users)
        # what the erasure of u0 does
        postgres.write("DELETE FROM recommendation_log WHERE user_id = 'u0'")
        invalidation.forget_users(["u0"])
        return found

    monkeypatch.setattr(answers_ahead.answers_ahead, "find_outdated", erase)
    assert compute_ahead() == {"users": 1, "answers": 1}
    logged = [row[0] for row in postgres.read("SELECT DISTINCT user_id FROM recommendation_log")]
    assert logged == ["u1"]


def test_answers_of_one_version_are_not_those_of_another(
    shop: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop, "u0")
    first, second = publish(serve)["version"], publish(serve)["version"]
    assert ask(shop, "u0") == (True, second)
    compute = answers_ahead.recommend

    def roll_back(request: RecommendationsRequest) -> bytes:
        body = compute(request)
        with postgres.transaction() as connection:
            models.activate(connection, first)
        invalidation.flush(*MODEL_SCOPES)
        return body

    invalidation.flush(*MODEL_SCOPES)
    monkeypatch.setattr(answers_ahead, "recommend", roll_back)
    compute_ahead()
    assert ask(shop, "u0") == (False, first)


def test_valid_answers_and_those_of_other_scopes_stay(shop: httpx.Client, serve: Serve) -> None:
    ask(shop, "u0")
    publish(serve)
    similar = shop.get("/similar-products", params={"product_id": 1}).content
    ask(shop, "u1")
    stored = redis_sync.client().hgetall(user_key("u1"))
    invalidation.flush(PRODUCTS)
    assert compute_ahead() == {"users": 0, "answers": 0}
    assert redis_sync.client().hgetall(user_key("u1")) == stored
    assert shop.get("/similar-products", params={"product_id": 1}).content == similar


def test_an_answer_ahead_lives_as_long_as_any_other(shop: httpx.Client, serve: Serve) -> None:
    ask(shop, "u0")
    redis_sync.client().expire(user_key("u0"), 20)
    publish(serve)
    assert redis_sync.client().ttl(user_key("u0")) > settings().recommendation_ttl_s - 60


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), RuntimeError("a defect")])
def test_a_failure_never_fails_the_publication(
    shop: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    ask(shop, "u0")

    def fail(_request: RecommendationsRequest) -> bytes:
        raise failure

    monkeypatch.setattr(answers_ahead, "recommend", fail)
    result = publish(serve)
    assert result["ahead"] == {"users": 0, "answers": 0, "ended": "failed"}
    assert ask(shop, "u0") == (False, result["version"])


def test_a_question_that_fails_by_now_is_left_out(shop: httpx.Client, serve: Serve) -> None:
    postgres.write("INSERT INTO categories (name) VALUES ('Gone')")
    ask(shop, "u0", category="Gone")
    ask(shop, "u1")
    postgres.write("DELETE FROM categories WHERE name = 'Gone'")
    assert publish(serve)["ahead"] == {"users": 1, "answers": 1}
    assert ask(shop, "u1")[0]


def test_a_request_of_another_release_is_left_out(shop: httpx.Client, serve: Serve) -> None:
    for user in ("u0", "u1"):
        ask(shop, user)
    redis = redis_sync.client()
    (field,) = (field for field in redis.hkeys(user_key("u0")) if field.startswith(b"r:"))
    redis.hset(user_key("u0"), field, b'{"user_id": "u0", "mood": "good"}')
    assert publish(serve)["ahead"] == {"users": 1, "answers": 1}
    assert [ask(shop, user)[0] for user in ("u0", "u1")] == [False, True]


def test_a_request_is_the_same_after_it_was_stored() -> None:
    from shared.domain.category_references import CategoryReference
    from shared.domain.product_references import ProductReference

    for request in (
        RecommendationsRequest("u", 10),
        RecommendationsRequest(
            "ü",
            5,
            CategoryReference(None, "Home > Kitchen"),
            [ProductReference(1), ProductReference(None, "a/b")],
            in_stock=False,
            explain=True,
            location=(1.5, -2.5),
            context=[ProductReference(3, "c")],
            diversity=0.25,
            repeats="only",
        ),
    ):
        again = request_of(packed_request(request))
        assert again == RecommendationsRequest(
            **{**vars(request), "exclude": list(request.exclude), "context": list(request.context)}
        )
