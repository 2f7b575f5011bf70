"""Implicit ALS: factors of users and items, read as a model from item to item."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.models import loops, pairs
from jobs.models.blocks import checked, dense_neighbours, scaled
from jobs.models.neighbours import AnyMatrix, Matrix, Neighbours

Factors = NDArray[np.float32]

# multiplications of one turn of one side from which compiled loops pay
COMPILED_FROM: Final = 5_000_000
# rows that a thread takes at a time
ROWS_AT_ONCE: Final = 200


@cache
def compiled() -> Callable[..., None]:
    """Return ``loops.improve_rows`` as machine code that lets other threads run. Raises ImportError without Numba."""
    from numba import njit

    # sums may be taken in any order: they are of single precision, and found by iteration
    improve: Callable[..., None] = njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})(loops.improve_rows)
    return improve


def als_factors(
    user_items: Matrix,
    *,
    factors: int,
    regularisation: float,
    confidence: float,
    iterations: int,
    seed: int,
    compiled_from: int = COMPILED_FROM,
) -> tuple[Factors, Factors]:
    """Factorise by alternating least squares (Hu, Koren, Volinsky, ICDM 2008), three conjugate gradient steps a turn.

    A pair with weight w is a 1 believed with 1 + confidence · w, all others are 0 believed with 1. Returns the factors
    of users, shape (n_users, factors), and of items, shape (n_items, factors). Deterministic for a seed. Time per
    iteration is about 12 · events · factors; events are taken in blocks of rows, of about 200,000 at once.
    ``compiled_from`` : entries · factors from which the loops are compiled.
    """
    loop = compiled() if pairs.available() and user_items.nnz * factors >= compiled_from else None
    random = np.random.default_rng(seed)
    users = random.normal(0, 0.1, (user_items.shape[0], factors)).astype(np.float32)
    items = random.normal(0, 0.1, (user_items.shape[1], factors)).astype(np.float32)
    by_user: AnyMatrix = user_items.astype(np.float32)
    by_item = by_user.T.tocsr()
    for _ in range(iterations):
        _improve(by_user, users, items, regularisation, confidence, loop)
        _improve(by_item, items, users, regularisation, confidence, loop)
    return users, items


def _improve(
    rows: AnyMatrix,
    solved: Factors,
    fixed: Factors,
    regularisation: float,
    confidence: float,
    loop: Callable[..., None] | None,
) -> None:
    """Move ``solved`` towards the least squares solution given ``fixed`` (Takacs et al., RecSys 2011), in place."""
    base = fixed.T @ fixed + np.float32(regularisation) * np.eye(fixed.shape[1], dtype=np.float32)
    if loop is not None:
        _improve_compiled(rows, solved, fixed, base, np.float32(confidence), loop)
        return
    step = max(1, 200_000 * rows.shape[0] // max(1, rows.nnz))
    for first in range(0, rows.shape[0], step):
        block = rows[first : first + step]
        counts = np.diff(block.indptr)
        row_of = np.repeat(np.arange(len(counts)), counts)
        others = fixed[block.indices]
        extra = np.asarray(np.float32(confidence) * block.data, np.float32)
        weighted = block.copy()

        def applied(
            x: Factors,
            others: Factors = others,
            row_of: NDArray[np.int64] = row_of,
            extra: NDArray[np.float32] = extra,
            weighted: AnyMatrix = weighted,
        ) -> Factors:
            weighted.data = extra * np.einsum("ij,ij->i", others, x[row_of])
            return np.asarray(x @ base + weighted @ fixed, dtype=np.float32)

        x = solved[first : first + step]
        target = block.copy()
        target.data = 1 + extra
        rest = np.asarray(target @ fixed, np.float32) - applied(x)
        direction = rest.copy()
        length = np.einsum("ij,ij->i", rest, rest)
        for _ in range(3):
            along = applied(direction)
            size = length / np.maximum(np.einsum("ij,ij->i", direction, along), 1e-20)
            x += size[:, None] * direction
            rest -= size[:, None] * along
            new_length = np.einsum("ij,ij->i", rest, rest)
            direction = rest + (new_length / np.maximum(length, 1e-20))[:, None] * direction
            length = new_length


def _improve_compiled(
    rows: AnyMatrix, solved: Factors, fixed: Factors, base: Factors, confidence: np.float32, loop: Callable[..., None]
) -> None:
    shared = (base, rows.indptr.astype(np.int64), rows.indices.astype(np.int32), confidence * rows.data, fixed, solved)
    with ThreadPoolExecutor(pairs.threads()) as pool:
        firsts = range(0, rows.shape[0], ROWS_AT_ONCE)
        list(pool.map(lambda first: loop(first, min(first + ROWS_AT_ONCE, rows.shape[0]), *shared), firsts))


def als_neighbours(
    user_items: Matrix,
    k: int,
    *,
    factors: int = 64,
    regularisation: float = 1.0,
    confidence: float = 10.0,
    iterations: int = 10,
    min_co_occurrence: int = 2,
    seed: int = 0,
) -> Neighbours:
    """Find which items each item speaks for in an implicit ALS model (Hu et al., section 5).

    A user's factors are linear in what they have; with item factors Y, and leaving out that a user's own items are
    believed more, item i adds s(i, j) = y_iᵀ (YᵀY + λI)⁻¹ y_j to the score of j. Negative ones are dropped, all are
    divided by the greatest: scores in [0, 1].

    ``user_items`` : shape (n_users, n_items), weights at least 0; ``factors``, ``iterations`` at least 1,
    ``regularisation`` and ``confidence`` above 0. Raises ValueError if one is out of range. Memory beyond the input:
    4 bytes × factors × (n_users + n_items), and a block of similarities. Where few items have users in common, only
    their pairs are scored.
    """
    if factors < 1 or iterations < 1 or regularisation <= 0 or confidence <= 0:
        raise ValueError("factors and iterations must be at least 1, regularisation and confidence above 0")
    matrix = checked(user_items, k)
    if matrix.nnz == 0:
        return Neighbours.none(matrix.shape[1], k)
    _, items = als_factors(
        matrix, factors=factors, regularisation=regularisation, confidence=confidence, iterations=iterations, seed=seed
    )
    middle = np.linalg.inv(items.T @ items + regularisation * np.eye(factors, dtype=np.float32))
    turned = np.asarray(items @ middle, np.float32)
    # where few users have two items in common, only those pairs are worth scoring
    if min_co_occurrence >= 1 and pairs.worth_compiling_dense(len(items)) and pairs.work_of(matrix) < len(items) ** 2:
        return scaled(pairs.best_by_factors(matrix, k, turned, items, min_co_occurrence))
    return scaled(
        dense_neighbours(
            lambda first, last: turned[first:last] @ items.T, matrix, k, min_co_occurrence=min_co_occurrence
        )
    )
