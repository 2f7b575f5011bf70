"""The result of every item-to-item algorithm."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from jobs.models.arrays import Float32Array, Int32Array, Int64Array

# pads ``Neighbours.indices``
NO_NEIGHBOUR: Final = -1


@dataclass(frozen=True)
class Neighbours:
    """Each item's nearest other items, best first: by score, then co-occurrence, then index.

    Attributes
    ----------
    indices : int32, shape (n_items, k), padded with NO_NEIGHBOUR where an item has fewer than k.
    scores : float32, shape (n_items, k), in [0, 1], 0 where padded.
    co_occurrence : int32, shape (n_items, k), number of users who have both items, 0 where padded.
    """

    indices: Int32Array
    scores: Float32Array
    co_occurrence: Int32Array

    @property
    def counts(self) -> Int64Array:
        """The number of neighbours of each item, shape (n_items,)."""
        counts: Int64Array = (self.indices != NO_NEIGHBOUR).sum(axis=1, dtype=np.int64)
        return counts

    @cached_property
    def mean_score(self) -> float:
        """The mean of the scores above 0; 0 if there is none."""
        scores = self.scores[self.scores > 0]
        return float(scores.mean(dtype=np.float64)) if len(scores) else 0.0

    @property
    def arrays(self) -> tuple[Int32Array, Float32Array, Int32Array]:
        """``indices``, ``scores`` and ``co_occurrence``, in the order of the kernels' parameters."""
        return self.indices, self.scores, self.co_occurrence

    @classmethod
    def none(cls, n_items: int, k: int) -> "Neighbours":
        """Return neighbours of shape (n_items, k) that are all padding, for the caller to fill in."""
        return cls(
            np.full((n_items, k), NO_NEIGHBOUR, np.int32),
            np.zeros((n_items, k), np.float32),
            np.zeros((n_items, k), np.int32),
        )
