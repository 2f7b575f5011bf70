"""What a fit costs, predicted from its parameters and the shape of its input alone.

Tuning is charged these costs in place of measured times, so that the same history leads to the same model on every
machine, whatever else runs on it. The unit is the processor second of one core: ``./aisle bench tuning`` prints the
predicted beside the measured time of every algorithm, and the constants below are fitted to such measurements once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from jobs.models import pairs
from jobs.models.arrays import Int64Array
from jobs.models.transitions import MIN_COMPILED_PAIRS

# Seconds of any fit, however small its input.
FIT_S: Final = 0.004
# Per entry of the input, for checking, sorting and transposing it.
ENTRY_S: Final = 1.5e-7
# Per multiplication of XᵀX, compiled and by SciPy.
PAIR_S: Final = 1.3e-9
SCIPY_PAIR_S: Final = 1.3e-8
# Per pair of events within the window, compiled and by NumPy.
TRANSITION_S: Final = 1.2e-8
NUMPY_TRANSITION_S: Final = 2.5e-7
# Per item, for the places of its neighbours.
ITEM_S: Final = 5e-6
# Per multiplication of the inversion of a matrix, and per entry of the inverse for reading, ranking and writing it.
INVERSE_S: Final = 2.5e-11
DENSE_ENTRY_S: Final = 3e-8
# Per entry, factor and iteration of ALS, and per multiplication of dense factors.
ALS_ENTRY_S: Final = 1e-8
FACTOR_S: Final = 1e-10


@dataclass(frozen=True)
class InputShape:
    """What costs depend on of a matrix or of sequences.

    n_items : items with entries.  lengths : entries of each row that has any, shape (n_rows,).
    """

    n_items: int
    lengths: Int64Array

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
        """The multiplications of XᵀX: Σ over rows of their entries²."""
        return float((self.lengths.astype(np.float64) ** 2).sum())

    def pairs_within(self, window: int, *, both_ways: bool) -> float:
        """Return the pairs of entries of one row at most ``window`` apart, at most."""
        reach = window * (2 if both_ways else 1) + 1
        return float((self.lengths.astype(np.float64) * np.minimum(self.lengths, reach)).sum())


def predict_pairs(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
    """Return the seconds of an algorithm that ranks the products of co-occurring items."""
    compiled = pairs.numba_installed() and shape.n_pairs >= pairs.MIN_COMPILED_WORK
    return (
        FIT_S
        + ENTRY_S * shape.n_entries
        + ITEM_S * shape.n_items
        + (PAIR_S if compiled else SCIPY_PAIR_S) * shape.n_pairs
    )


def predict_popularity(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
    """Return the seconds of ``popularity_neighbours``."""
    return FIT_S + ENTRY_S * shape.n_entries + ITEM_S * shape.n_items


def predict_transitions(shape: InputShape, parameters: Mapping[str, Any]) -> float:
    """Return the seconds of ``transitions_neighbours``."""
    n_pairs = shape.pairs_within(parameters.get("window", 10), both_ways=parameters.get("backward", 0.3) > 0)
    compiled = pairs.numba_installed() and n_pairs >= MIN_COMPILED_PAIRS
    return (
        FIT_S
        + ENTRY_S * shape.n_entries
        + ITEM_S * shape.n_items
        + (TRANSITION_S if compiled else NUMPY_TRANSITION_S) * n_pairs
    )


def predict_ease(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
    """Return the seconds of ``ease_neighbours``."""
    side = float(min(shape.n_rows, shape.n_items))
    by_users = shape.n_rows < shape.n_items
    entries = shape.n_entries * side if by_users else 0.0
    return predict_pairs(shape, {}) + INVERSE_S * side**3 + DENSE_ENTRY_S * float(shape.n_items) ** 2 + 1e-9 * entries


def predict_ease_head(shape: InputShape, parameters: Mapping[str, Any]) -> float:
    """Return the seconds of ``ease_head_neighbours``, whose head has about as many entries as the whole."""
    head = InputShape(min(shape.n_items, parameters.get("head", 6_000)), shape.lengths)
    return predict_pairs(shape, {}) + predict_ease(head, {})


def predict_als(shape: InputShape, parameters: Mapping[str, Any]) -> float:
    """Return the seconds of ``als_neighbours``."""
    factors, iterations = float(parameters.get("factors", 64)), float(parameters.get("iterations", 10))
    n_vectors = shape.n_rows + shape.n_items
    solving = iterations * factors * (ALS_ENTRY_S * shape.n_entries + FACTOR_S * factors * n_vectors)
    ranking = min(shape.n_pairs, float(shape.n_items) ** 2) * (factors * FACTOR_S + DENSE_ENTRY_S)
    return predict_pairs(shape, {}) + solving + ranking
