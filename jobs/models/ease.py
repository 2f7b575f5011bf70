"""EASE: the best linear model of who has what, in closed form."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from jobs.models import pairs
from jobs.models.blocks import checked, dense_neighbours, scaled
from jobs.models.neighbours import AnyMatrix, Matrix, Neighbours

MEMORY_BUDGET_BYTES: Final = 2 << 30


class Unsuitable(ValueError):
    """The algorithm is not made for a shop of this size; the message says why."""


class TooLarge(Unsuitable):
    """The closed form would not fit the memory budget."""


def ease_side(n_users: int, n_items: int, memory_budget_bytes: int = MEMORY_BUDGET_BYTES) -> int:
    """Return the side of the square matrix to invert: users or items, whichever are fewer.

    Raises TooLarge if the matrix, in single precision, would not fit the budget.
    """
    side = min(n_users, n_items)
    if 4 * side * side > memory_budget_bytes:
        raise TooLarge(
            f"EASE of {n_users} users and {n_items} items inverts {side} x {side}: more than its budget of "
            f"{memory_budget_bytes >> 20} MiB"
        )
    return side


def ease_seconds(n_users: int, n_items: int) -> float:
    """Return about how long a fit takes, in seconds: 5e10 multiplications a second, as a few cores do."""
    return float(min(n_users, n_items)) ** 3 / 5e10


def _inverse(matrix: NDArray[Any]) -> NDArray[Any]:
    """Invert a symmetric positive definite matrix in its own memory (Cholesky; LAPACK potrf, potri)."""
    double = matrix.dtype == np.float64
    factor, failed = (lapack.dpotrf if double else lapack.spotrf)(matrix.T, lower=1, overwrite_a=1, clean=0)
    if not failed:
        factor, failed = (lapack.dpotri if double else lapack.spotri)(factor, lower=1, overwrite_c=1)
    if failed:
        raise ValueError("the matrix is not positive definite: the regularisation is too small")
    # LAPACK fills one triangle
    for first in range(0, len(factor), 1024):
        last = min(first + 1024, len(factor))
        corner = np.tril(factor[first:last, first:last])
        factor[first:last, first:last] = corner + np.tril(corner, -1).T
        factor[first:last, last:] = factor[last:, first:last].T
    return np.asarray(factor)


def ease_neighbours(
    user_items: Matrix,
    k: int,
    *,
    regularisation: float = 1.0,
    min_co_occurrence: int = 2,
    memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
) -> Neighbours:
    """Find each item's ``k`` greatest positive weights in the model of the others (Steck, WWW 2019).

    With P = (XᵀX + λI)⁻¹ the weight of i in the score of j is B_ij = −P_ij / P_jj. Row i, the items that i speaks for,
    is stored as i's neighbours: a profile's score is the sum of its rows. Negative weights are dropped. All are divided
    by the greatest: scores in [0, 1] that keep their ratios.

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    regularisation : above 0, in units of the mean over items of the sum of squared weights, so that one range of values
        suits shops of every size: λ = regularisation · mean.
    min_co_occurrence : pairs that fewer users have in common are not neighbours.

    Raises ValueError if a value is out of range, TooLarge if min(n_users, n_items)² numbers exceed the budget.
    Where users are fewer than items, P comes from the users' side (Woodbury). Time min(n_users, n_items)³, and
    events · n_items on the users' side; double precision where that fits the budget, else single.
    """
    if regularisation <= 0:
        raise ValueError("regularisation must be above 0")
    matrix = checked(user_items, k)
    # users and items without events change nothing
    active_users = np.flatnonzero(np.diff(matrix.indptr))
    active_items = int(np.count_nonzero(np.bincount(matrix.indices, minlength=1)))
    ease_side(len(active_users), active_items, memory_budget_bytes)
    if matrix.nnz == 0:
        return Neighbours.none(matrix.shape[1], k)
    used: AnyMatrix = sparse.csr_array(matrix[active_users])
    # the users' side multiplies more, so it must be much smaller, or all that fits
    n_users, n_items = len(active_users), matrix.shape[1]
    by_users = n_users < n_items / 2 or (n_users < n_items and 4 * n_items**2 > memory_budget_bytes)
    side = n_users if by_users else n_items
    kind = np.float64 if 8 * side * side <= memory_budget_bytes else np.float32
    strength = regularisation * float((matrix.data**2).sum()) / active_items
    if by_users:
        return scaled(_from_users(used.astype(kind), k, strength, min_co_occurrence))
    return scaled(_from_items(used.astype(kind), k, strength, min_co_occurrence))


def _from_items(matrix: AnyMatrix, k: int, strength: float, least: int) -> Neighbours:
    gram = (matrix.T @ matrix).toarray()
    gram[np.diag_indices_from(gram)] += strength
    inverse = _inverse(gram)
    # 0 - x rather than -x: no negative zeros
    per_item = 0 - 1 / np.diag(inverse)
    return dense_neighbours(lambda first, last: inverse[first:last] * per_item, matrix, k, min_co_occurrence=least)


def _from_users(matrix: AnyMatrix, k: int, strength: float, least: int) -> Neighbours:
    # P = (I − Xᵀ(XXᵀ + λI)⁻¹X) / λ, so off the diagonal B_ij = (XᵀKX)_ij / (1 − (XᵀKX)_jj)
    gram = (matrix @ matrix.T).toarray()
    gram[np.diag_indices_from(gram)] += strength
    kernel = _inverse(gram)
    items = matrix.T.tocsr()
    diagonal = np.empty(matrix.shape[1], matrix.dtype)
    for first in range(0, matrix.shape[1], 1024):
        rows = items[first : first + 1024]
        diagonal[first : first + 1024] = rows.multiply(rows @ kernel).sum(axis=1)
    per_item = 1 / np.maximum(1 - diagonal, np.finfo(matrix.dtype).eps)
    if least >= 1 and pairs.worth_compiling_dense(matrix.shape[1]):
        return pairs.best_by_users(matrix, k, kernel, per_item, least)
    return dense_neighbours(
        lambda first, last: (items @ (items[first:last] @ kernel).T).T * per_item, matrix, k, min_co_occurrence=least
    )
