"""What every item-to-item algorithm returns."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# interaction weights of users (rows) and items (columns)
Matrix: TypeAlias = "sparse.csr_array[np.float64, tuple[int, int]]"
# the same in whichever precision suffices
AnyMatrix: TypeAlias = "sparse.csr_array[Any, tuple[int, int]]"

NOBODY = -1


@dataclass(frozen=True)
class Neighbours:
    """Each item's nearest others, best first: by score, then co-occurrence, then index.

    Attributes
    ----------
    indices : int32, shape (n_items, k), padded with -1 where an item has fewer.
    scores : float32, shape (n_items, k), in [0, 1], 0 where padded.
    co_occurrence : int32, shape (n_items, k), users who have both, 0 where padded.
    """

    indices: NDArray[np.int32]
    scores: NDArray[np.float32]
    co_occurrence: NDArray[np.int32]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many neighbours each item has, shape (n_items,)."""
        found: NDArray[np.int64] = (self.indices != NOBODY).sum(axis=1, dtype=np.int64)
        return found

    @cached_property
    def mean_score(self) -> float:
        """The mean of the scores above 0, of neighbours that are filled in; 0 where there are none."""
        scores = self.scores[self.scores > 0]
        return float(scores.mean(dtype=np.float64)) if len(scores) else 0.0

    @property
    def arrays(self) -> "tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]":
        """Indices, scores and co-occurrence."""
        return self.indices, self.scores, self.co_occurrence

    @classmethod
    def none(cls, n_items: int, k: int) -> "Neighbours":
        """Return neighbours of which nobody has any, to be filled in."""
        return cls(
            np.full((n_items, k), NOBODY, np.int32),
            np.zeros((n_items, k), np.float32),
            np.zeros((n_items, k), np.int32),
        )
