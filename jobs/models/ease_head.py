"""EASE for the most popular items and RP3beta for the long tail: for catalogs too large for EASE to invert."""

from typing import Final

import numpy as np

from jobs.models.arrays import Matrix
from jobs.models.blocks import validate
from jobs.models.ease import ease_neighbours
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.models.rp3beta import rp3beta_neighbours

# the size of the head that tuning tries first
FIRST_HEAD: Final = 4_000


def ease_head_neighbours(
    user_items: Matrix,
    k: int,
    *,
    head: int = 6_000,
    regularisation: float = 3.0,
    beta: float = 0.4,
    min_co_occurrence: int = 2,
) -> Neighbours:
    """Find neighbours by EASE among the ``head`` items with the most users, and by RP3beta for all other items.

    Items of the head have neighbours only in the head; items of the tail have them anywhere. The scores of each part
    are divided by the greatest of that part.

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    k : neighbours per item, at least 1.
    head : number of items in the head, at least 1.
    regularisation : of the head, see ``ease_neighbours``.  beta : of the tail, see ``rp3beta_neighbours``.
    min_co_occurrence : pairs with fewer common users are not neighbours.

    Returns
    -------
    Neighbours of shape (n_items, k); scores in [0, 1].

    Raises ValueError if a parameter is out of range, Unsuitable if no more than ``head`` items have events. Time: head³
    plus that of RP3beta; memory: 8 bytes × head².
    """
    if head < 1:
        raise ValueError("head must be at least 1")
    matrix = validate(user_items, k)
    user_counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    n_active = int(np.count_nonzero(user_counts))
    if n_active <= head:
        raise Unsuitable(f"{n_active} items have events, no more than the head of {head}: use ease instead")
    head_items = np.sort(np.argsort(-user_counts, kind="stable")[:head])
    neighbours = rp3beta_neighbours(matrix, k, beta=beta, min_co_occurrence=min_co_occurrence)
    best = ease_neighbours(matrix[:, head_items], k, regularisation=regularisation, min_co_occurrence=min_co_occurrence)
    neighbours.indices[head_items] = np.where(best.indices == NO_NEIGHBOUR, NO_NEIGHBOUR, head_items[best.indices])
    neighbours.scores[head_items] = best.scores
    neighbours.co_occurrence[head_items] = best.co_occurrence
    return neighbours
