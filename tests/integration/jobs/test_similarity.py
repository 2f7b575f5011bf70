"""The job that learns which products go together."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from shared import clients
from shared.clients import postgres, redis_sync
from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.storage.answers import protocol
from shared.storage.recommending import models
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products, checkerboard_views
from tests.unit.models.data import dense_cosine

Neighbours = dict[int, tuple[list[int], list[float], list[int]]]


def stored() -> Neighbours:
    """Return the rows of the active model as readers see them, by product id."""
    rows: list[Any] = postgres.read(
        """SELECT product_id, neighbours, scores, co_occurrence FROM item_similarity
           WHERE version = (SELECT version FROM models WHERE active)"""
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def run(serve: Serve) -> dict[str, Any]:
    answer = serve("similarity").post("/", json={})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_users_of_a_checkerboard_are_shown_their_own_colour(env: object, serve: Serve) -> None:
    ids = add_plain_products(6)
    add_events(checkerboard_views(ids, 8))
    answer = run(serve)
    assert (answer["outcome"], answer["events"], answer["users"], answer["products"]) == ("published", 24, 8, 6)
    model = models.active()
    assert model is not None
    assert (model.version, model.algorithm, model.stored) == (answer["version"], "cosine", True)
    assert model.parameters.items() >= {"k": 50, "min_co_occurrence": 2}.items()
    assert model.metrics["why"] == "safe default: 24 events, fewer than 1000"
    assert model.metrics["products_with_neighbours"] == 6
    model_rows = stored()
    assert model_rows.keys() == set(ids)
    for place, product in enumerate(ids):
        same_colour = [neighbour for neighbour in ids[place % 2 :: 2] if neighbour != product]
        assert model_rows[product] == (same_colour, [1.0, 1.0], [4, 4])
    assert postgres.read("SELECT job, outcome, version FROM training_runs") == [
        ("similarity", "published", model.version)
    ]


def test_the_published_neighbours_are_those_of_the_dense_reference(env: object, serve: Serve) -> None:
    ids = add_plain_products(30)
    rng = np.random.default_rng(4)
    types = [kind.value for kind in EventType if kind is not EventType.SEARCH]
    events = [
        StoredEvent(
            f"u{rng.integers(20)}", ids[int(rng.integers(30)) // int(rng.integers(1, 3))], str(rng.choice(types))
        )
        for _ in range(400)
    ]
    add_events(events)
    run(serve)
    # users in the order of their ids does not matter; products do
    weights = np.zeros((20, 30))
    for event in events:
        assert event.product is not None
        weights[int(event.user[1:]), ids.index(event.product)] += EVENT_WEIGHTS[EventType(event.event_type)]
    expected = dense_cosine(sparse.csr_array(weights), 50)
    model_rows = stored()
    assert len(model_rows) > 20
    for place, product in enumerate(ids):
        n = int(expected.counts[place])
        if n == 0:
            assert product not in model_rows
            continue
        neighbours, scores, co_occurrence = model_rows[product]
        assert scores == pytest.approx(expected.scores[place, :n].tolist(), abs=1e-6)
        in_reference = dict(
            zip(expected.indices[place, :n].tolist(), expected.co_occurrence[place, :n].tolist(), strict=True)
        )
        assert {
            ids.index(neighbour): count for neighbour, count in zip(neighbours, co_occurrence, strict=True)
        } == in_reference


def test_a_new_model_drops_the_answers_of_the_old_one(env: object, serve: Serve) -> None:
    add_events(checkerboard_views(add_plain_products(6), 8))
    before = redis_sync.client().hgetall(protocol.EPOCHS)
    run(serve)
    after = redis_sync.client().hgetall(protocol.EPOCHS)
    assert {scope for scope in after if after[scope] != before.get(scope)} == {
        b"similar",
        b"recommendations",
        b"dashboard",
    }


def nothing(_ids: list[int]) -> list[StoredEvent]:
    return []


def one_user(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent("a", product) for product in ids]


def one_product(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent(f"u{n}", ids[0]) for n in range(5)]


def never_twice(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent("a", ids[0]), StoredEvent("a", ids[1]), StoredEvent("b", ids[2]), StoredEvent("b", ids[3])]


def all_alike(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent(f"u{n}", product) for n in range(5) for product in ids[:4]]


def unknown_types(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent(event.user, event.product, "applause") for event in checkerboard_views(ids, 8)]


def weightless_types(ids: list[int]) -> list[StoredEvent]:
    return [StoredEvent(event.user, event.product, "remove_from_cart") for event in checkerboard_views(ids, 8)]


def deleted_products(ids: list[int]) -> list[StoredEvent]:
    purchases = [StoredEvent(event.user, event.product, "purchase") for event in checkerboard_views(ids, 8)]
    postgres.write("UPDATE products SET is_active = false")
    return purchases


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (nothing, "no events"),
        (one_user, "one user"),
        (one_product, "one product"),
        (never_twice, "no two products"),
        (all_alike, "did the same"),
        (unknown_types, "no events"),
        (weightless_types, "no events"),
        (deleted_products, "no events"),
    ],
)
def test_a_history_without_a_pattern_leaves_the_active_model(
    env: object, serve: Serve, history: Callable[[list[int]], list[StoredEvent]], reason: str
) -> None:
    ids = add_plain_products(6)
    add_events(checkerboard_views(ids, 8))
    version = run(serve)["version"]
    before = stored()
    postgres.write("DELETE FROM events")
    add_events(history(ids))
    answer = run(serve)
    assert answer["outcome"] == "kept"
    assert reason in answer["reason"]
    model = models.active()
    assert model is not None
    assert model.version == version
    assert stored() == before != {}
    assert postgres.read("SELECT outcome, version FROM training_runs ORDER BY id DESC LIMIT 1") == [("kept", None)]


def test_a_deleted_product_is_not_a_neighbour(env: object, serve: Serve) -> None:
    ids = add_plain_products(6)
    add_events(checkerboard_views(ids, 8))
    postgres.write("UPDATE products SET is_active = false WHERE id = :id", id=ids[0])
    postgres.write("DELETE FROM products WHERE id = :id", id=ids[1])
    run(serve)
    assert {product: neighbours for product, (neighbours, _s, _c) in stored().items()} == {
        ids[2]: [ids[4]],
        ids[4]: [ids[2]],
        ids[3]: [ids[5]],
        ids[5]: [ids[3]],
    }


def test_only_a_small_shop_learns_from_what_is_older_than_the_lookback(
    env: object, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = add_plain_products(6)
    add_events(checkerboard_views(ids, 8))
    add_events(StoredEvent(event.user, event.product, "view", 24 * 100) for event in checkerboard_views(ids, 8))
    assert run(serve)["events"] == 48
    monkeypatch.setenv("ALL_HISTORY_BELOW", "48")
    clients.reset()
    assert run(serve)["events"] == 24
    monkeypatch.setenv("ALL_HISTORY_BELOW", "49")
    clients.reset()
    assert run(serve)["events"] == 48


def test_at_most_fifty_neighbours_are_kept(env: object, serve: Serve) -> None:
    ids = add_plain_products(60)
    add_events(
        [StoredEvent(f"u{n}", product, "view") for n in range(3) for product in ids] + [StoredEvent("u4", ids[0])]
    )
    run(serve)
    assert {len(neighbours) for neighbours, _s, _c in stored().values()} == {50}
