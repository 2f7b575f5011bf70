"""Histories that are large enough for a choice but teach nothing: the job says so, and the active model stays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shared.clients import postgres
from shared.storage.recommending import models
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products, checkerboard_views

# more than SMALL_SHOP_EVENTS of jobs/tuning/selection.py
MANY = 1_200
DAYS = 60


def one_user(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent("a", ids[n % len(ids)], "purchase", 24 * DAYS * n / MANY) for n in range(MANY)]


def one_product(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent(f"u{n % 40}", ids[0], "purchase", 24 * DAYS * n / MANY) for n in range(MANY)]


def all_alike(ids: list[int]) -> list[StoredEvent]:
    # everybody buys the same four, again and again
    return [StoredEvent(f"u{n % 60}", ids[n // 60 % 4], "purchase", 24 * DAYS * n / MANY) for n in range(MANY)]


def unknown_types(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent(f"u{n % 60}", ids[n % 6], "applause", 24 * DAYS * n / MANY) for n in range(MANY)]


def deleted_products(ids: list[int]) -> list[StoredEvent]:
    purchases = [StoredEvent(f"u{n % 60}", ids[n % 6], "purchase", 24 * DAYS * n / MANY) for n in range(MANY)]
    postgres.write("UPDATE products SET is_active = false")
    return purchases


def run(serve: Serve, **parameters: Any) -> dict[str, Any]:
    answer = serve("similarity").post("/", json=parameters)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


@pytest.mark.parametrize("time_budget_s", [0, 1])
@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (one_user, "one user"),
        (one_product, "one product"),
        (all_alike, "did the same"),
        (unknown_types, "no events"),
        (deleted_products, "no events"),
    ],
)
def test_a_large_history_without_a_pattern_leaves_the_active_model_with_a_reason(
    env: object, serve: Serve, history: Callable[[list[int]], list[StoredEvent]], reason: str, time_budget_s: float
) -> None:
    ids = add_plain_products(6)
    add_events(checkerboard_views(ids, 8))
    version = run(serve)["version"]
    postgres.write("DELETE FROM events")
    add_events(history(ids))
    answer = run(serve, time_budget_s=time_budget_s)
    assert answer["outcome"] == "kept"
    assert reason in answer["reason"]
    active = models.active()
    assert active is not None
    assert active.version == version


@pytest.mark.parametrize("time_budget_s", [0, 1])
def test_a_budget_of_a_second_publishes_the_best_trial_within_it(
    env: object, serve: Serve, time_budget_s: float
) -> None:
    ids = add_plain_products(40)
    random = np.random.default_rng(5)
    add_events(
        StoredEvent(
            f"u{user}", ids[2 * int(random.integers(20)) + user % 2], "purchase", float(random.random() * 24 * DAYS)
        )
        for user in random.integers(0, 80, MANY).tolist()
    )
    answer = run(serve, time_budget_s=time_budget_s)
    assert answer["outcome"] == "published"
    scores = {trial["algorithm"]: trial["ndcg@20"] for trial in answer["candidates"]}
    assert scores["cosine"] > 0
    # the best, unless its gain over an untuned trial is no more than noise: then that trial comes first, with a note
    first = answer["candidates"][0]
    assert (answer["algorithm"], answer["ndcg@20"]) == (first["algorithm"], first["ndcg@20"])
    best = max(score or 0 for score in scores.values())
    assert first["ndcg@20"] == best or first["note"].startswith("untuned")
    active = models.active()
    assert active is not None
    assert active.version == answer["version"]
