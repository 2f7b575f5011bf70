"""A night after another: where the job starts, what it keeps, and what it says about how the shop has moved."""

import json
import logging
from typing import Any

import pytest

from jobs.similarity import Similarity, similarity
from jobs.tuning.choice import Choice
from jobs.tuning.selection import choose_model
from jobs.tuning.warm_start import ActiveVersion
from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.storage.recommending import models
from tests.integration.jobs.test_similarity import stored
from tests.integration.shop import StoredEvent, add_events, add_two_kinds_of_users

BUDGET_S = 2


@pytest.fixture
def shop(env: object) -> None:
    """Two kinds of users, each with products of its own."""
    add_two_kinds_of_users()


def run(budget_s: float = BUDGET_S) -> dict[str, Any]:
    """Run the job and return its answer as JSON has it."""
    answer: dict[str, Any] = json.loads(json.dumps(similarity.run(Similarity(time_budget_s=budget_s))))
    return answer


def active() -> models.Model:
    model = models.active()
    assert model is not None
    return model


@pytest.mark.parametrize("is_older", [False, True])
def test_a_version_of_a_release_with_fewer_parameters_is_searched_from_all_starts(
    shop: None, monkeypatch: pytest.MonkeyPatch, is_older: bool
) -> None:
    run()
    if is_older:
        postgres.write("UPDATE models SET parameters = parameters #- '{serving,taste}' WHERE active")
    given: list[bool] = []

    def choose(*arguments: Any, active: ActiveVersion, **options: Any) -> Choice:
        given.append(active.has_moved)
        return choose_model(*arguments, active=active, **options)

    monkeypatch.setattr("jobs.similarity.choose_model", choose)
    second = run()
    assert given == [is_older]
    # the shop has not moved, and nobody is warned
    assert (second["drift"]["drifted"], second["drift"]["reasons"]) == (False, [])


def test_the_second_run_starts_from_the_first_and_compares_with_it(
    shop: None, caplog: pytest.LogCaptureFixture
) -> None:
    first = run()
    assert (first["outcome"], first["compared"], first["drift"]) == ("published", None, None)
    assert {trial["started_from_version"] for trial in first["candidates"]} == {None}
    with caplog.at_level(logging.WARNING):
        second = run()
    assert (second["outcome"], second["version"]) == ("published", first["version"] + 1)
    assert second["compared"]["version"] == first["version"]
    assert any(trial["started_from_version"] == first["version"] for trial in second["candidates"])
    # the same days: the parameters of the first have the quality that it had, and nothing has moved
    assert second["compared"]["active"] == first["newest"]
    assert second["newest"]["ndcg@20"] >= first["newest"]["ndcg@20"]
    drift = second["drift"]
    assert (drift["since_version"], drift["drifted"], drift["reasons"]) == (first["version"], False, [])
    assert drift["ndcg@20"]["then"] == drift["ndcg@20"]["now"] == first["newest"]["ndcg@20"]
    assert (drift["new_events"], drift["unknown_products_share"]) == (0, None)
    assert (drift["popular_overlap"]["since"], drift["event_types_change"]["since"]) == (1.0, 0.0)
    assert "model drift" not in caplog.messages
    # the row and the run say the same
    (details,) = postgres.read("SELECT details FROM training_runs ORDER BY id DESC LIMIT 1")[0]
    for key in ("compared", "drift", "newest", "history"):
        assert details[key] == active().metrics[key] == second[key]


def test_two_runs_from_one_version_write_the_same_row(shop: None) -> None:
    first = run(0)["version"]
    rows = []
    for _ in range(2):
        with transaction() as connection:
            models.activate(connection, first)
        version = run(1)["version"]
        rows.append(
            postgres.read("SELECT algorithm, parameters, metrics FROM models WHERE version = :version", version=version)
        )
        assert active().metrics["compared"]["version"] == first
    assert rows[0] == rows[1]


OLD_ROWS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # of the first release: no candidates, no formula
    ("cosine", {"k": 50, "min_co_occurrence": 2}, {"pairs": 3}),
    # before histories were split into sessions, and before a formula for each kind of answers
    (
        "tfidf",
        {"weighting": {"half_life_days": 45, "weight_power": 1}, "serving": {"blend": 0.5, "returning": "all"}},
        {"ndcg@20": 0.2, "candidates": [{"algorithm": "tfidf", "ndcg@20": 0.2, "parameters": {}, "weighting": {}}]},
    ),
    (
        "mixture",
        {"parts": [{"algorithm": "cosine", "parameters": {"min_co_occurrence": 9}, "weighting": {}, "share": 1}]},
        {"candidates": "none", "history": {"until": 3}, "newest": 7},
    ),
    # of another release
    ("word2vec", {"window": 5}, {"candidates": [{"algorithm": "word2vec", "ndcg@20": 0.3}]}),
    ("cosine", {"min_co_occurrence": "two", "weighting": 4, "serving": []}, {"ndcg@20": "x"}),
]


@pytest.mark.parametrize(("algorithm", "parameters", "metrics"), OLD_ROWS)
def test_a_version_of_another_release_is_a_start_or_none(
    shop: None, algorithm: str, parameters: dict[str, Any], metrics: dict[str, Any]
) -> None:
    first = run(0)["version"]
    with transaction() as connection:
        postgres.execute(
            connection,
            "UPDATE models SET algorithm = :algorithm, parameters = cast(:parameters AS jsonb), "
            "metrics = cast(:metrics AS jsonb) WHERE version = :version",
            {
                "algorithm": algorithm,
                "parameters": json.dumps(parameters),
                "metrics": json.dumps(metrics),
                "version": first,
            },
        )
    answer = run(0)
    assert (answer["outcome"], answer["version"]) == ("published", first + 1)
    assert answer["drift"]["drifted"] is False
    if algorithm == "word2vec":
        assert answer["compared"] is None
    else:
        assert answer["compared"]["version"] == first


def come_back(ids: list[int]) -> None:
    """Let every user buy ten products of their own kind in the last half hour."""
    pairs = [(user, ids[(user % 2 + 2 * (user + 3 * n)) % 40]) for user in range(80) for n in range(10)]
    add_events(
        StoredEvent(f"u{user}", product, "purchase", 0.5 - place / 2_000) for place, (user, product) in enumerate(pairs)
    )


@pytest.mark.parametrize("is_lost", [True, False])
def test_the_stored_neighbours_stay_where_what_taught_them_is_lost(shop: None, is_lost: bool) -> None:
    first = run(0)["version"]
    before = stored()
    earlier = [event_id for (event_id,) in postgres.read("SELECT event_id FROM events")]
    come_back(sorted(before))
    if is_lost:
        postgres.write(
            """DELETE FROM events WHERE event_id = ANY (:earlier) AND event_id NOT IN
               (SELECT DISTINCT ON (user_id) event_id FROM events ORDER BY user_id, occurred_at)""",
            earlier=earlier,
        )
    answer = run(0)
    if not is_lost:
        assert (answer["outcome"], answer["version"]) == ("published", first + 1)
        return
    assert answer["outcome"] == "kept"
    assert answer["reason"].startswith(
        f"the stored neighbours of version {first} are better than any learned from today"
    )
    assert active().version == first
    assert stored() == before
    ((outcome, version, details),) = postgres.read(
        "SELECT outcome, version, details FROM training_runs ORDER BY id DESC LIMIT 1"
    )
    assert (outcome, version, details["reason"]) == ("kept", None, answer["reason"])
    assert details["drift"]["since_version"] == first
