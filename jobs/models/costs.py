"""The cost of a fit, predicted from its parameters and the shape of its input alone.

Tuning is charged these costs instead of measured times, so that the same history leads to the same model on every
machine, whatever else runs on it. The unit is one second of one processor core. The constants below were fitted once to
measurements: ``./aisle bench tuning`` prints the predicted and the measured time of every algorithm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from jobs.models import pairs
from jobs.models.als import MIN_COMPILED_WORK as MIN_COMPILED_ALS
from jobs.models.arrays import Int64Array
from jobs.models.transitions import MIN_COMPILED_PAIRS

# Fixed cost of any fit, however small its input.
FIT_S: Final = 0.004
# Per entry of a matrix, for validating, sorting and transposing it; per event of sequences, for ordering them as well.
ENTRY_S: Final = 1.5e-7
EVENT_S: Final = 3e-7
# Per item, for storing its neighbours; in ``popularity``, also for ranking the popular items for it.
ITEM_S: Final = 3e-6
POPULAR_ITEM_S: Final = 1.5e-5
# Per multiplication in XᵀX: compiled; by SciPy, including the ranking; and by SciPy without the ranking.
PAIR_S: Final = 1.4e-9
RANKED_PAIR_S: Final = 5e-8
GRAM_S: Final = 1.8e-8
# Per pair of items with a score, for ranking it.
DISTINCT_S: Final = 4e-9
# Per pair of events within the window: compiled, and by NumPy.
TRANSITION_S: Final = 9e-9
NUMPY_TRANSITION_S: Final = 3.5e-7
# Per multiplication: in inverting a matrix, and in multiplying a sparse matrix by the inverse.
INVERSE_S: Final = 2.6e-11
SPARSE_S: Final = 1.9e-8
# Per entry of a dense matrix of scores, for computing and ranking it.
SCORE_S: Final = 1e-8
# ALS, per entry, factor and iteration: compiled, and by NumPy; and per row, factor² and iteration.
ALS_ENTRY_S: Final = 2.1e-9
NUMPY_ALS_ENTRY_S: Final = 2e-8
ALS_ROW_S: Final = 3.3e-10


@dataclass(frozen=True)
class InputShape:
    """The properties of a matrix or of sequences on which costs depend.

    Attributes
    ----------
    n_items : items with entries.
    lengths : the number of entries of each row that has any, shape (n_rows,).
    rows, steps : of sequences, the row and step of each event, as in jobs/models/sequences.py; empty for a matrix.
    """

    n_items: int
    lengths: Int64Array
    rows: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))
    steps: Int64Array = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def n_rows(self) -> int:
        """Return the number of rows with entries."""
        return len(self.lengths)

    @cached_property
    def n_entries(self) -> int:
        """The number of entries."""
        return int(self.lengths.sum())

    @cached_property
    def n_pairs(self) -> float:
        """The number of multiplications in XᵀX: Σ over rows of entries²."""
        return float((self.lengths.astype(np.float64) ** 2).sum())

    @property
    def n_distinct(self) -> float:
        """Return an upper bound on the number of pairs of items with a common row."""
        return min(self.n_pairs, float(self.n_items) ** 2)

    def pairs_within(self, window: int, *, both_ways: bool) -> float:
        """Return the number of pairs of events of the same row that are at most ``window`` steps apart."""
        steps = self.steps + self.rows * (int(self.steps.max(initial=0)) + window + 1)
        last = np.searchsorted(steps, steps + window, side="right")
        return float((last - np.searchsorted(steps, steps - (window if both_ways else 0), side="left")).sum())


def predict_pairs(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
    """Return the predicted seconds of an algorithm that ranks co-occurring items by the entries of XᵀX."""
    compiled = pairs.numba_installed() and shape.n_pairs >= pairs.MIN_COMPILED_WORK
    seconds = FIT_S + ENTRY_S * shape.n_entries + ITEM_S * shape.n_items
    if compiled:
        return seconds + PAIR_S * shape.n_pairs + DISTINCT_S * shape.n_distinct
    return seconds + RANKED_PAIR_S * shape.n_pairs


def predict_popularity(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
    """Return the predicted seconds of ``popularity_neighbours``."""
    return FIT_S + ENTRY_S * shape.n_entries + POPULAR_ITEM_S * shape.n_items


def predict_transitions(shape: InputShape, parameters: Mapping[str, Any]) -> float:
    """Return the predicted seconds of ``transitions_neighbours``."""
    n_pairs = shape.pairs_within(parameters.get("window", 10), both_ways=parameters.get("backward", 0.3) > 0)
    compiled = pairs.numba_installed() and n_pairs >= MIN_COMPILED_PAIRS
    return (
        FIT_S
        + EVENT_S * shape.n_entries
        + ITEM_S * shape.n_items
        + (TRANSITION_S if compiled else NUMPY_TRANSITION_S) * n_pairs
    )


def predict_ease(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
    """Return the predicted seconds of ``ease_neighbours``."""
    seconds = FIT_S + ENTRY_S * shape.n_entries + GRAM_S * shape.n_pairs
    if shape.n_rows < shape.n_items / 2:
        # ``ease_neighbours`` inverts the matrix of users
        return seconds + INVERSE_S * float(shape.n_rows) ** 3 + SPARSE_S * shape.n_entries * float(shape.n_rows)
    return seconds + INVERSE_S * float(shape.n_items) ** 3 + SCORE_S * float(shape.n_items) ** 2


def predict_ease_head(shape: InputShape, parameters: Mapping[str, Any]) -> float:
    """Return the predicted seconds of ``ease_head_neighbours``, as if all entries were those of the head."""
    head = replace(shape, n_items=min(shape.n_items, parameters.get("head", 6_000)))
    return predict_pairs(shape, {}) + predict_ease(head, {})


def predict_als(shape: InputShape, parameters: Mapping[str, Any]) -> float:
    """Return the predicted seconds of ``als_neighbours``."""
    factors, iterations = float(parameters.get("factors", 64)), float(parameters.get("iterations", 10))
    compiled = pairs.numba_installed() and shape.n_entries * factors >= MIN_COMPILED_ALS
    by_entries = (ALS_ENTRY_S if compiled else NUMPY_ALS_ENTRY_S) * shape.n_entries * factors
    by_rows = ALS_ROW_S * (shape.n_rows + shape.n_items) * factors**2
    return FIT_S + ENTRY_S * shape.n_entries + iterations * (by_entries + by_rows) + SCORE_S * shape.n_distinct
