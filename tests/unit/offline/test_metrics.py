"""Metrics against figures worked out by hand."""

import math

import numpy as np
import pytest
from scipy import sparse

from jobs.offline.metrics import beyond_accuracy, bootstrap_interval, find_hits, ndcg, score_users


def test_metrics_of_one_answer_are_those_worked_out_by_hand() -> None:
    answers = np.full((1, 20), -1)
    answers[0, :6] = [4, 1, 7, 2, 9, 3]
    relevant = sparse.csr_array(([1.0, 1.0, 1.0], ([0, 0, 0], [1, 3, 8])), shape=(1, 10))
    metrics = {name: float(values[0]) for name, values in score_users(answers, relevant).items()}
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert metrics["ndcg@5"] == pytest.approx((1 / math.log2(3)) / ideal)
    assert metrics["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(7)) / ideal)
    assert (metrics["recall@5"], metrics["recall@10"]) == pytest.approx((1 / 3, 2 / 3))
    assert (metrics["precision@5"], metrics["precision@20"]) == pytest.approx((1 / 5, 2 / 20))
    assert (metrics["hit@5"], metrics["mrr@5"]) == (1, 1 / 2)


def test_a_perfect_answer_scores_one_however_many_are_relevant() -> None:
    for count in (1, 5, 20, 30):
        relevant = sparse.csr_array(np.ones((1, count)))
        answers = np.full((1, 20), -1)
        answers[0, : min(count, 20)] = np.arange(min(count, 20))
        assert score_users(answers, relevant)["ndcg@20"][0] == pytest.approx(1)


def test_an_answer_without_a_hit_scores_nothing() -> None:
    relevant = sparse.csr_array(([1.0], ([0], [3])), shape=(1, 5))
    assert all(value[0] == 0 for value in score_users(np.full((1, 20), -1), relevant).values())


def test_padding_is_no_hit() -> None:
    relevant = sparse.csr_array(([1.0], ([0], [4])), shape=(2, 5))
    assert not find_hits(np.full((2, 3), -1), relevant).any()


def test_relevant_items_that_cannot_be_recommended_still_count_against_an_answer() -> None:
    assert ndcg(np.array([[True, False]]), np.array([2]))[0] < 1


def test_coverage_novelty_and_diversity() -> None:
    answers = np.full((2, 20), -1)
    answers[0, :2], answers[1, :2] = [0, 1], [0, 2]
    metrics = beyond_accuracy(
        answers, np.ones(6, np.bool_), np.array([0.5, 0.25, 0.25, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1])
    )
    assert metrics["coverage@20"] == pytest.approx(3 / 6)
    assert metrics["novelty@20"] == pytest.approx((1 + 2 + 1 + 2) / 4)
    # the first answer is of one category, the second of two
    assert metrics["diversity@20"] == pytest.approx(0.5)


def test_the_interval_holds_the_mean_and_narrows_with_users() -> None:
    random = np.random.default_rng(1)
    widths = []
    for users in (50, 5000):
        values = random.random(users)
        low, high = bootstrap_interval(values)
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5


@pytest.mark.parametrize("relevant", [1, 4, 20, 30])
def test_recall_is_the_share_of_all_that_is_relevant_however_short_the_answer(relevant: int) -> None:
    answers = np.full((1, 20), -1)
    hits = min(relevant, 20)
    answers[0, :hits] = np.arange(hits)
    metrics = score_users(answers, sparse.csr_array(np.ones((1, relevant))))
    assert metrics["recall@20"][0] == pytest.approx(hits / relevant)
    assert metrics["recall@5"][0] == pytest.approx(min(relevant, 5) / relevant)
    assert metrics["precision@20"][0] == pytest.approx(hits / 20)


def test_one_user_has_no_interval_and_two_have_one() -> None:
    assert bootstrap_interval(np.array([0.25])) == (0.25, 0.25)
    assert bootstrap_interval(np.array([0.0, 1.0])) == (0.0, 1.0)


@pytest.mark.parametrize("block", [1, 30, 40, 70, 10**6])
def test_the_interval_does_not_depend_on_how_many_samples_are_drawn_at_a_time(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(3).random(10)
    expected = bootstrap_interval(values, resamples=200)
    monkeypatch.setattr("jobs.offline.metrics.BOOTSTRAP_BLOCK", block)
    assert bootstrap_interval(values, resamples=200) == pytest.approx(expected, abs=0.03)
