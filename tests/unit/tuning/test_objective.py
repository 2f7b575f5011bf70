"""What algorithms learn from while they are tuned."""

import numpy as np

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.models.sequences import Sequences
from jobs.offline.split import split_last_days
from jobs.tuning.objective import Objective
from jobs.tuning.space import Space
from tests.unit.offline import data


def objective() -> Objective:
    split = split_last_days(data.shop(), 7, new_only=False)
    return Objective([split], Catalog.unknown(60))


def test_each_algorithm_gets_its_kind_of_input_of_the_same_weighting() -> None:
    received: list[object] = []

    def fit_neighbours(model_input: object, k: int) -> Neighbours:
        received.append(model_input)
        return Neighbours.none(60, k)

    by_matrix, by_order = Space(Algorithm(fit_neighbours)), Space(Algorithm(fit_neighbours, is_sequential=True))
    tuned = objective()
    for space in (by_matrix, by_order, by_matrix, by_order):
        tuned.fit(space, {}, Weighting())
    assert [isinstance(model_input, Sequences) for model_input in received] == [False, True, False, True]
    # computed once
    assert received[0] is received[2]
    assert received[1] is received[3]


def test_a_fit_is_estimated_by_the_rows_that_the_weighting_makes() -> None:
    tuned = objective()
    train = tuned.folds[0].split.train
    space = Space(
        Algorithm(lambda *_: Neighbours.none(60, 1), estimate_seconds=lambda rows, items: rows * 100.0 + items)
    )
    n_items = len(np.unique(train.items))
    assert tuned.estimate_seconds(space, Weighting()) == 100 * len(np.unique(train.users)) + n_items
    pauses = 0
    for user in np.unique(train.users):
        times = np.sort(train.times[train.users == user])
        pauses += int((np.diff(times) > np.timedelta64(1, "D")).sum())
    assert pauses > 0
    expected = 100 * (len(np.unique(train.users)) + pauses) + n_items
    assert tuned.estimate_seconds(space, Weighting(session_gap_minutes=1440.0)) == expected
