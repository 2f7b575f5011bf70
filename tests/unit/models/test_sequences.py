"""The order of events: steps, events at one time, and repeats in a row."""

from collections.abc import Sequence

import numpy as np
import pytest

from jobs.models.sequences import Sequences, sequences_of


def sequences(events: Sequence[tuple[int, int, float, float]], n_items: int = 9) -> Sequences:
    """Return the sequences of events given as row, item, hour and weight."""
    columns = np.array(events, dtype=np.float64).reshape(-1, 4).T
    return sequences_of(columns[0].astype(np.int64), columns[1].astype(np.int32), columns[2], columns[3], n_items)


def listed(given: Sequences) -> list[tuple[int, int, int, float, float]]:
    """Return row, step, item, hour and weight of each event."""
    columns = (given.rows, given.steps, given.items, given.hours, given.weights)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_events_are_in_order_by_row_then_time_then_item_and_events_at_one_time_share_a_step() -> None:
    given = sequences([(7, 1, 2.0, 1.0), (3, 4, 9.0, 1.0), (7, 5, 1.0, 0.5), (7, 0, 2.0, 0.25), (7, 8, 3.0, 1.0)])
    assert listed(given) == [
        (3, 0, 4, 9.0, 1.0),
        (7, 0, 5, 1.0, 0.5),
        (7, 1, 0, 2.0, 0.25),
        (7, 1, 1, 2.0, 1.0),
        (7, 2, 8, 3.0, 1.0),
    ]
    assert given.n_items == 9


def test_repeats_in_a_row_are_one_event_of_the_greatest_weight_at_the_time_of_the_last() -> None:
    run = [(0, 2, 1.0, 0.1), (0, 2, 2.0, 0.9), (0, 2, 5.0, 0.4)]
    assert listed(sequences([*run, (0, 3, 6.0, 1.0), (0, 2, 7.0, 1.0)])) == [
        (0, 0, 2, 5.0, 0.9),
        (0, 1, 3, 6.0, 1.0),
        (0, 2, 2, 7.0, 1.0),
    ]


def test_the_same_item_in_another_row_is_no_repeat() -> None:
    assert listed(sequences([(0, 2, 1.0, 1.0), (1, 2, 2.0, 1.0)])) == [(0, 0, 2, 1.0, 1.0), (1, 0, 2, 2.0, 1.0)]


@pytest.mark.parametrize("basket_first", [True, False])
def test_an_item_beside_another_repeats_nothing(basket_first: bool) -> None:
    # whichever of the two comes first in the order of items
    for other in (1, 3):
        hours = (1.0, 2.0) if basket_first else (2.0, 1.0)
        given = sequences([(0, 2, hours[0], 1.0), (0, other, hours[0], 1.0), (0, 2, hours[1], 1.0)])
        assert len(given) == 3
        assert sorted(given.steps.tolist()) == ([0, 0, 1] if basket_first else [0, 1, 1])


def test_an_item_counts_once_in_a_step_with_its_greatest_weight() -> None:
    given = sequences([(0, 2, 1.0, 0.2), (0, 2, 1.0, 0.7), (0, 1, 1.0, 0.5)])
    assert listed(given) == [(0, 0, 1, 1.0, 0.5), (0, 0, 2, 1.0, 0.7)]


def test_a_weight_of_0_is_no_event_and_separates_nothing() -> None:
    given = sequences([(0, 2, 1.0, 1.0), (0, 5, 2.0, 0.0), (0, 2, 3.0, 1.0)])
    assert listed(given) == [(0, 0, 2, 3.0, 1.0)]


def test_no_events_are_no_sequences() -> None:
    assert listed(sequences([])) == []
    assert len(sequences([])) == 0


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_negative_and_infinite_weights_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weights"):
        sequences([(0, 2, 1.0, weight)])
