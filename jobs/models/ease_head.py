"""EASE for the products that are met most, RP3beta for the long tail: for catalogs whose inverse is too large."""

from typing import Final

import numpy as np

from jobs.models.blocks import checked
from jobs.models.ease import Unsuitable, ease_neighbours, ease_seconds
from jobs.models.neighbours import NOBODY, Matrix, Neighbours
from jobs.models.rp3beta import rp3beta_neighbours

# where a search starts
FIRST_HEAD: Final = 4_000


def ease_head_seconds(_n_users: int, n_items: int) -> float:
    """Return about how long a fit takes with the head that is tried first, in seconds; see ``ease_seconds``."""
    return ease_seconds(n_items, min(n_items, FIRST_HEAD))


def ease_head_neighbours(
    user_items: Matrix,
    k: int,
    *,
    head: int = 6_000,
    regularisation: float = 3.0,
    beta: float = 0.4,
    min_co_occurrence: int = 2,
) -> Neighbours:
    """Find neighbours by EASE among the ``head`` items with most users, by RP3beta for all others.

    An item of the head has neighbours in the head only; one of the tail has them anywhere. Both are scaled to [0, 1]
    by their own greatest score, see there for the parameters.

    ``user_items`` : shape (n_users, n_items), weights at least 0. Raises ValueError if a parameter is out of range,
    Unsuitable if the head is the whole catalog. Time head³ and that of RP3beta; memory 8 bytes × head².
    """
    if head < 1:
        raise ValueError("head must be at least 1")
    matrix = checked(user_items, k)
    users_of = np.bincount(matrix.indices, minlength=matrix.shape[1])
    if np.count_nonzero(users_of) <= head:
        raise Unsuitable(
            f"the {np.count_nonzero(users_of)} items are no more than the head of {head}: plain EASE does it"
        )
    chosen = np.sort(np.argsort(-users_of, kind="stable")[:head])
    found = rp3beta_neighbours(matrix, k, beta=beta, min_co_occurrence=min_co_occurrence)
    best = ease_neighbours(matrix[:, chosen], k, regularisation=regularisation, min_co_occurrence=min_co_occurrence)
    found.indices[chosen] = np.where(best.indices == NOBODY, NOBODY, chosen[best.indices])
    found.scores[chosen] = best.scores
    found.co_occurrence[chosen] = best.co_occurrence
    return found
