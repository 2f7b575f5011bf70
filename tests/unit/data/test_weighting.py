"""The input of models, worked out by hand: type, age, repetition and sessions."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.data import weighting
from jobs.data.weighting import MAX_HALVINGS, Weighting, event_weights, split_rows, training_matrix, training_sequences
from tests.unit.offline import data

MINUTE = 1 / 1440
PLAIN = Weighting(half_life_days=None, weight_power=1.0, repeated="sum")
# User 0 views item 0 on day 0 and buys it on day 4, and carts item 1 on day 2; user 1 views item 1 on day 4.
HISTORY = data.history((0, 0, 1, 0), (0, 1, 3, 2), (0, 0, 5, 4), (1, 1, 1, 4))
NOW = data.START + np.timedelta64(6, "D")


def entries(weighting: Weighting) -> list[list[float]]:
    matrix: list[list[float]] = training_matrix(HISTORY, NOW, weighting).toarray().tolist()
    return matrix


def approximately(rows: list[list[float]]) -> list[object]:
    return [pytest.approx(row) for row in rows]


def test_an_event_weighs_its_types_share_of_the_heaviest() -> None:
    assert entries(PLAIN) == approximately([[1 / 5 + 1, 3 / 5], [0, 1 / 5]])


@pytest.mark.parametrize(
    ("power", "view", "cart"), [(0.0, 1.0, 1.0), (0.5, 0.2**0.5, 0.6**0.5), (1.0, 0.2, 0.6)], ids=["0", "half", "1"]
)
def test_the_weight_power_brings_the_types_together(power: float, view: float, cart: float) -> None:
    assert entries(replace(PLAIN, weight_power=power)) == approximately([[view + 1, cart], [0, view]])


def test_age_counts_back_from_now_and_each_half_life_halves_the_weight() -> None:
    # at day 6, the events are 6, 4, 2 and 2 days old
    expected = [[(1 / 5) * 2**-3 + 2**-1, (3 / 5) * 2**-2], [0, (1 / 5) * 2**-1]]
    assert entries(replace(PLAIN, half_life_days=2.0)) == approximately(expected)


def test_an_event_after_now_is_new_and_an_old_one_keeps_a_rest() -> None:
    history = data.history((0, 0, 5, 0), (0, 1, 5, 400), (0, 2, 5, 401))
    weights = event_weights(history, data.START + np.timedelta64(400, "D"), replace(PLAIN, half_life_days=1.0))
    assert weights.tolist() == [2.0**-MAX_HALVINGS, 1, 1]


@pytest.mark.parametrize(
    ("repeated", "both"), [("once", 1.0), ("log", np.log2(1 + 1.2)), ("sum", 1.2)], ids=["once", "log", "sum"]
)
def test_a_view_and_a_purchase_combine(repeated: str, both: float) -> None:
    single = {"once": 0.6, "log": np.log2(1.6), "sum": 0.6}[repeated]
    view = {"once": 0.2, "log": np.log2(1.2), "sum": 0.2}[repeated]
    assert entries(replace(PLAIN, repeated=repeated)) == approximately([[both, single], [0, view]])


def test_no_events_are_an_empty_matrix() -> None:
    history = data.history((0, 0, 5, 0))
    empty = replace(history, users=history.users[:0], items=history.items[:0], weights=history.weights[:0])
    empty = replace(empty, times=history.times[:0])
    for gap, rows in ((None, 1), (30.0, 0)):
        weighting = replace(PLAIN, half_life_days=7.0, session_gap_minutes=gap)
        assert training_matrix(empty, NOW, weighting).shape == (rows, 1)
        assert len(training_sequences(empty, NOW, weighting)) == 0


@pytest.mark.parametrize(("pause", "sessions"), [(29.9, 1), (30.0, 1), (30.1, 2)])
def test_a_pause_longer_than_the_gap_splits_a_history(pause: float, sessions: int) -> None:
    history = data.history((0, 0, 1, 0), (0, 1, 1, 10 * MINUTE), (0, 2, 1, (10 + pause) * MINUTE))
    rows, n_rows = split_rows(history, 30.0)
    assert n_rows == sessions
    assert rows.tolist() == [0, 0, sessions - 1]


def test_sessions_are_numbered_by_user_then_time_whatever_the_order_of_events() -> None:
    history = data.history((1, 0, 1, 2), (0, 0, 1, 3), (0, 1, 1, 0), (1, 1, 1, 2), (0, 1, 1, 3 + 1 * MINUTE))
    rows, n_rows = split_rows(history, 1440.0)
    assert (rows.tolist(), n_rows) == ([2, 1, 0, 2, 1], 3)
    rows, n_rows = split_rows(history, None)
    assert (rows.tolist(), n_rows) == ([1, 0, 0, 1, 0], 2)


def test_each_session_is_a_row_of_its_own() -> None:
    sessions = replace(PLAIN, session_gap_minutes=1440.0)
    assert entries(sessions) == approximately([[1 / 5, 0], [0, 3 / 5], [1, 0], [0, 1 / 5]])
    # a gap that no pause exceeds leaves the users
    assert entries(replace(PLAIN, session_gap_minutes=3 * 1440.0)) == entries(PLAIN)


def test_sequences_have_the_weights_of_the_matrix_and_the_hours_between_events() -> None:
    given = training_sequences(HISTORY, NOW, replace(PLAIN, half_life_days=2.0))
    assert given.rows.tolist() == [0, 0, 0, 1]
    assert given.items.tolist() == [0, 1, 0, 1]
    assert given.steps.tolist() == [0, 1, 2, 0]
    assert np.diff(given.hours[:3]).tolist() == [48, 48]
    assert given.weights.tolist() == pytest.approx([(1 / 5) * 2**-3, (3 / 5) * 2**-2, 2**-1, (1 / 5) * 2**-1])
    assert given.n_items == 2


def test_sequences_end_with_the_session() -> None:
    given = training_sequences(HISTORY, NOW, replace(PLAIN, session_gap_minutes=1440.0))
    assert given.rows.tolist() == [0, 1, 2, 3]
    assert given.steps.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("limit", "kept"), [(3, [0, 1, 2]), (2, [0, 2]), (1, [2])])
def test_a_row_beyond_the_limit_keeps_its_greatest_weights(
    monkeypatch: pytest.MonkeyPatch, limit: int, kept: list[int]
) -> None:
    monkeypatch.setattr(weighting, "MAX_ROW_ITEMS", limit)
    # items 0 and 1 tie: the lower one stays. User 1 is a bystander with a single item
    history = data.history((0, 0, 1, 0), (0, 1, 1, 0), (0, 2, 5, 0), (1, 1, 1, 0))
    matrix = training_matrix(history, NOW, PLAIN)
    assert matrix[[0]].indices.tolist() == kept
    assert matrix[[1]].toarray().tolist() == [[0, 1 / 5, 0]]


def test_events_of_a_part_count_by_the_heaviest_of_the_complete_history() -> None:
    part = data.history((1, 1, 1, 4))
    assert event_weights(part, NOW, PLAIN).tolist() == [1]
    assert event_weights(part, NOW, PLAIN, heaviest=5.0).tolist() == pytest.approx([1 / 5])
