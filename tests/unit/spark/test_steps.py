"""The steps of a training on Spark, run one after the other without Spark, give what one machine gives."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.data import weighting
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models import pairs, transitions
from jobs.models.neighbours import Neighbours
from jobs.models.registry import ALGORITHMS
from jobs.spark import steps
from jobs.spark.recipes import Cosine
from jobs.spark.steps import entries_of, sum_items
from jobs.tuning.fitting import training_input
from tests.unit.spark import shops


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small inputs run in the loops of large ones: SciPy and NumPy add up in other precisions."""
    monkeypatch.setattr(pairs, "MIN_COMPILED_WORK", 0)
    monkeypatch.setattr(transitions, "MIN_COMPILED_PAIRS", 0)


def fit_locally(history: History, description: dict[str, Any]) -> Neighbours:
    algorithm = ALGORITHMS[description["algorithm"]]
    matrix = training_input(algorithm, history, history.times.max(), Weighting(**description["weighting"]))
    return algorithm.fit(matrix, shops.K, **description["parameters"])


def assert_equal_to_the_bit(first: Neighbours, second: Neighbours) -> None:
    assert np.array_equal(first.indices, second.indices)
    assert first.scores.tobytes() == second.scores.tobytes()
    assert np.array_equal(first.co_occurrence, second.co_occurrence)


each = pytest.mark.parametrize("name", shops.MODELS)


@each
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_blocks_give_the_neighbours_of_one_machine_to_the_last_bit(name: str, order: int) -> None:
    history = shops.skewed(4_000, 300, 120)
    expected = fit_locally(history, shops.model(name))
    assert expected.counts.sum() > 500
    assert_equal_to_the_bit(shops.train_plainly(history, shops.model(name), order), expected)


@each
def test_ties_rank_as_on_one_machine(name: str) -> None:
    history = shops.tied(60, 40)
    expected = fit_locally(history, shops.model(name))
    scores = expected.scores[expected.scores > 0]
    assert len(np.unique(scores)) < len(scores) / 5
    # more neighbours than places, so that ties decide who is left out
    assert (expected.counts == shops.K).any()
    assert_equal_to_the_bit(shops.train_plainly(history, shops.model(name), 3), expected)


@pytest.mark.parametrize(("common", "expected"), [(1, 0), (2, 2), (3, 2)])
def test_common_users_at_the_limit_count_though_they_are_in_several_parts(common: int, expected: int) -> None:
    users = np.repeat(np.arange(common), 2)
    # and the only user of a third product, who is a bystander
    history = shops.shop(np.append(users, 99), np.append(np.tile([5, 8], common), 11))
    description = {"algorithm": "cosine", "parameters": {"min_co_occurrence": 2}, "weighting": {}}
    found = shops.train_plainly(history, description, 2)
    assert found.counts.sum() == expected
    assert found.counts[2] == 0
    assert_equal_to_the_bit(found, fit_locally(history, description))


def test_more_groups_than_products_leave_empty_blocks() -> None:
    history = shops.skewed(200, 30, 7)
    assert len(history.product_ids) <= 7
    description = shops.model("cosine")
    expected = fit_locally(history, description)
    assert expected.counts.any()
    assert_equal_to_the_bit(shops.train_plainly(history, description, 5), expected)


@each
def test_one_product_has_no_neighbours(name: str) -> None:
    history = shops.shop(np.arange(5), np.full(5, 3))
    assert shops.train_plainly(history, shops.model(name), 2).counts.tolist() == [0]


@pytest.mark.parametrize("name", ["cosine", "rp3beta", "bm25", "tfidf"])
def test_a_user_beyond_the_cap_loses_the_same_products_in_both_engines(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighting, "MAX_ROW_ITEMS", 12)
    rng = np.random.default_rng(3)
    heavy, others = np.arange(40), rng.integers(0, 40, 300)
    history = shops.shop(
        np.concatenate([np.full(40, 1_000), rng.integers(0, 60, 300)]), np.concatenate([heavy, others])
    )
    matrix = weighting.training_matrix(history, history.times.max(), Weighting(None, 1.0, "sum"))
    assert np.diff(matrix.indptr).max() == 12
    description = shops.model(name) | {"weighting": {"weight_power": 1.0, "repeated": "sum"}}
    assert_equal_to_the_bit(shops.train_plainly(history, description, 3), fit_locally(history, description))


def test_sums_over_the_users_of_a_product_do_not_depend_on_the_order_in_which_its_entries_arrive() -> None:
    history = shops.skewed(4_000, 300, 20)
    now, heaviest = history.times.max(), float(history.weights.max())
    description = Weighting(half_life_days=7.3, repeated="log")
    matrix = weighting.training_matrix(history, now, description)
    expected = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
    entries = entries_of(history, 0, now, heaviest, description, Cosine())
    orders = [np.random.default_rng(seed).permutation(len(entries)) for seed in range(3)]
    # added up as they arrive, the last bits differ
    arrived = [np.bincount(matrix.indices[order], weights=matrix.data[order]) for order in orders]
    assert any(sums.tobytes() != expected.tobytes() for sums in arrived)
    for order in orders:
        assert sum_items(entries.take(order))["total"].to_numpy().tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["cosine", "transitions"])
def test_entries_are_sent_in_small_tables_with_the_same_result(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    history, model = shops.skewed(3_000, 150, 60), shops.model(name)
    whole = shops.train_plainly(history, model, 3)
    for rows in (1, 4, 7, 1_000):
        monkeypatch.setattr(steps, "SPREAD_ROWS", rows)
        for expected, found in zip(whole.arrays, shops.train_plainly(history, model, 3).arrays, strict=True):
            assert np.array_equal(expected, found)


def test_no_table_that_is_sent_has_more_than_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    history, model = shops.skewed(3_000, 150, 60), shops.model("cosine")
    sent: list[int] = []
    spread = steps.spread_entries

    def watched(*arguments: Any) -> Iterator[pa.Table]:
        for table in spread(*arguments):
            sent.append(len(table))
            yield table

    monkeypatch.setattr(steps, "spread_entries", watched)
    # each entry is sent to 3 + 1 tasks
    monkeypatch.setattr(steps, "SPREAD_ROWS", 100)
    shops.train_plainly(history, model, 3)
    assert max(sent) == 100
    assert len(sent) > 3
