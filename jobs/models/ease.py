"""EASE: the best linear item-to-item model, in closed form."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from jobs.models import pairs
from jobs.models.arrays import AnyMatrix, Matrix
from jobs.models.blocks import rank_rows, scale_scores, validate
from jobs.models.errors import TooLarge
from jobs.models.neighbours import Neighbours

MEMORY_BUDGET_BYTES: Final = 2 << 30


def ease_side(n_users: int, n_items: int, memory_budget_bytes: int = MEMORY_BUDGET_BYTES) -> int:
    """Return the side of the square matrix to invert: the number of users or of items, whichever is smaller.

    Raises TooLarge if the matrix, in single precision, exceeds the budget.
    """
    side = min(n_users, n_items)
    if 4 * side * side > memory_budget_bytes:
        raise TooLarge(
            f"EASE with {n_users} users and {n_items} items inverts {side} x {side} numbers, which exceeds its budget "
            f"of {memory_budget_bytes >> 20} MiB; use ease_head instead"
        )
    return side


def _invert(matrix: NDArray[Any]) -> NDArray[Any]:
    """Invert a symmetric positive definite matrix in place (Cholesky; LAPACK potrf, potri).

    Raises ValueError if it is not positive definite.
    """
    double = matrix.dtype == np.float64
    factor, failed = (lapack.dpotrf if double else lapack.spotrf)(matrix.T, lower=1, overwrite_a=1, clean=0)
    if not failed:
        factor, failed = (lapack.dpotri if double else lapack.spotri)(factor, lower=1, overwrite_c=1)
    if failed:
        raise ValueError("regularisation is too small: the matrix is not positive definite; use a greater value")
    # LAPACK fills only one triangle
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
    """Find the items whose scores each item raises most in EASE (Steck, WWW 2019).

    With P = (XᵀX + λI)⁻¹, the weight of i in the score of j is B_ij = −P_ij / P_jj. Row i of B holds the neighbours of
    i, so that the scores of a profile are the sum of its items' rows. Negative weights are dropped; the others are
    divided by the greatest.

    Parameters
    ----------
    user_items : X, shape (n_users, n_items), weights at least 0.
    k : neighbours per item, at least 1.
    regularisation : above 0, in units of the mean of the items' sums of squared weights, so that one range of values
        suits shops of every size: λ = regularisation · mean.
    min_co_occurrence : pairs with fewer common users are not neighbours.
    memory_budget_bytes : limit on the size of the inverse.

    Returns
    -------
    Neighbours of shape (n_items, k); scores in [0, 1], which keep their ratios across items.

    Raises ValueError if a value is out of range, TooLarge if min(n_users, n_items)² float32 numbers exceed the budget.
    Where users are fewer than half the items, or only their side fits the budget, P comes from the users' side
    (Woodbury identity). Time: n_items³, or on the users' side n_users³ + entries · n_items. Computes in double
    precision if that fits the budget, else in single.
    """
    if regularisation <= 0:
        raise ValueError("regularisation must be above 0")
    matrix = validate(user_items, k)
    # users and items without events do not change the model
    active_users = np.flatnonzero(np.diff(matrix.indptr))
    n_active_items = int(np.count_nonzero(np.bincount(matrix.indices, minlength=1)))
    ease_side(len(active_users), n_active_items, memory_budget_bytes)
    if matrix.nnz == 0:
        return Neighbours.none(matrix.shape[1], k)
    active: AnyMatrix = sparse.csr_array(matrix[active_users])
    # the users' side takes more multiplications: choose it only if it is much smaller, or if only it fits the budget
    n_users, n_items = len(active_users), matrix.shape[1]
    by_users = n_users < n_items / 2 or (n_users < n_items and 4 * n_items**2 > memory_budget_bytes)
    side = n_users if by_users else n_items
    dtype = np.float64 if 8 * side * side <= memory_budget_bytes else np.float32
    penalty = regularisation * float((matrix.data**2).sum()) / n_active_items
    solve = _solve_by_users if by_users else _solve_by_items
    return scale_scores(solve(active.astype(dtype), k, penalty, min_co_occurrence))


def _solve_by_items(matrix: AnyMatrix, k: int, penalty: float, min_co_occurrence: int) -> Neighbours:
    gram = (matrix.T @ matrix).toarray()
    gram[np.diag_indices_from(gram)] += penalty
    inverse = _invert(gram)
    # 0 - x rather than -x: no negative zeros
    target = 0 - 1 / np.diag(inverse)
    return rank_rows(lambda first, last: inverse[first:last] * target, matrix, k, min_co_occurrence=min_co_occurrence)


def _solve_by_users(matrix: AnyMatrix, k: int, penalty: float, min_co_occurrence: int) -> Neighbours:
    # P = (I − XᵀMX) / λ with M = (XXᵀ + λI)⁻¹, so off the diagonal B_ij = (XᵀMX)_ij / (1 − (XᵀMX)_jj)
    gram = (matrix @ matrix.T).toarray()
    gram[np.diag_indices_from(gram)] += penalty
    inverse = _invert(gram)
    by_item = matrix.T.tocsr()
    diagonal = np.empty(matrix.shape[1], matrix.dtype)
    for first in range(0, matrix.shape[1], 1024):
        rows = by_item[first : first + 1024]
        diagonal[first : first + 1024] = rows.multiply(rows @ inverse).sum(axis=1)
    target = 1 / np.maximum(1 - diagonal, np.finfo(matrix.dtype).eps)
    if min_co_occurrence >= 1 and pairs.worth_compiling_dense(matrix.shape[1]):
        return pairs.rank_by_users(matrix, k, inverse, target, min_co_occurrence)
    return rank_rows(
        lambda first, last: (by_item @ (by_item[first:last] @ inverse).T).T * target,
        matrix,
        k,
        min_co_occurrence=min_co_occurrence,
    )
