"""Implicit ALS: user and item factors, turned into an item-to-item model."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import numpy as np

from jobs.models import als_kernel, pairs
from jobs.models.arrays import AnyMatrix, Float32Array, Int64Array, Matrix
from jobs.models.blocks import rank_rows, scale_scores, validate
from jobs.models.neighbours import Neighbours

# compiling pays off from this many multiplications per side and iteration
MIN_COMPILED_WORK: Final = 5_000_000
# rows in each batch that a thread processes
ROW_BATCH: Final = 200


@cache
def compile_kernel() -> Callable[..., None]:
    """Return ``improve_rows`` as machine code that releases the GIL. Raises ImportError without Numba."""
    from numba import njit

    # sums may be reordered: they are single-precision intermediates of an iterative method
    kernel: Callable[..., None] = njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})(als_kernel.improve_rows)
    return kernel


def als_factors(
    user_items: Matrix,
    *,
    factors: int,
    regularisation: float,
    confidence: float,
    iterations: int,
    seed: int,
    compiled_from: int = MIN_COMPILED_WORK,
) -> tuple[Float32Array, Float32Array]:
    """Factorise by alternating least squares (Hu, Koren, Volinsky, ICDM 2008).

    A pair with weight w is a preference of 1 with confidence 1 + ``confidence`` · w; every other pair is a preference
    of 0 with confidence 1. Each side takes three conjugate gradient steps per iteration.

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    factors : number of factors, at least 1.
    regularisation, confidence : above 0.
    compiled_from : the kernel is compiled if entries · factors is at least this.

    Returns
    -------
    user_factors, shape (n_users, factors), and item_factors, shape (n_items, factors). The same for the same seed.

    Time per iteration is about 12 · entries · factors. Without the kernel, memory is bounded by blocks of about 200,000
    entries.
    """
    compiled = pairs.numba_installed() and user_items.nnz * factors >= compiled_from
    kernel = compile_kernel() if compiled else None
    random = np.random.default_rng(seed)
    user_factors = random.normal(0, 0.1, (user_items.shape[0], factors)).astype(np.float32)
    item_factors = random.normal(0, 0.1, (user_items.shape[1], factors)).astype(np.float32)
    by_user: AnyMatrix = user_items.astype(np.float32)
    by_item = by_user.T.tocsr()
    for _ in range(iterations):
        _improve(by_user, user_factors, item_factors, regularisation, confidence, kernel)
        _improve(by_item, item_factors, user_factors, regularisation, confidence, kernel)
    return user_factors, item_factors


def _improve(
    rows: AnyMatrix,
    solved: Float32Array,
    fixed: Float32Array,
    regularisation: float,
    confidence: float,
    kernel: Callable[..., None] | None,
) -> None:
    """Move ``solved`` towards the least squares solution given ``fixed`` (Takacs et al., RecSys 2011), in place."""
    base = fixed.T @ fixed + np.float32(regularisation) * np.eye(fixed.shape[1], dtype=np.float32)
    if kernel is not None:
        _improve_compiled(rows, solved, fixed, base, np.float32(confidence), kernel)
        return
    step = max(1, 200_000 * rows.shape[0] // max(1, rows.nnz))
    for first in range(0, rows.shape[0], step):
        block = rows[first : first + step]
        counts = np.diff(block.indptr)
        row_of = np.repeat(np.arange(len(counts)), counts)
        entry_factors = fixed[block.indices]
        extra = np.asarray(np.float32(confidence) * block.data, np.float32)
        weighted = block.copy()

        # default arguments bind this block's arrays: the closure must not see those of the next block
        def apply(
            x: Float32Array,
            entry_factors: Float32Array = entry_factors,
            row_of: Int64Array = row_of,
            extra: Float32Array = extra,
            weighted: AnyMatrix = weighted,
        ) -> Float32Array:
            weighted.data = extra * np.einsum("ij,ij->i", entry_factors, x[row_of])
            return np.asarray(x @ base + weighted @ fixed, dtype=np.float32)

        x = solved[first : first + step]
        target = block.copy()
        target.data = 1 + extra
        residual = np.asarray(target @ fixed, np.float32) - apply(x)
        direction = residual.copy()
        length = np.einsum("ij,ij->i", residual, residual)
        for _ in range(3):
            product = apply(direction)
            size = length / np.maximum(np.einsum("ij,ij->i", direction, product), 1e-20)
            x += size[:, None] * direction
            residual -= size[:, None] * product
            new_length = np.einsum("ij,ij->i", residual, residual)
            direction = residual + (new_length / np.maximum(length, 1e-20))[:, None] * direction
            length = new_length


def _improve_compiled(
    rows: AnyMatrix,
    solved: Float32Array,
    fixed: Float32Array,
    base: Float32Array,
    confidence: np.float32,
    kernel: Callable[..., None],
) -> None:
    shared = (base, rows.indptr.astype(np.int64), rows.indices.astype(np.int32), confidence * rows.data, fixed, solved)
    n_rows = rows.shape[0]
    with ThreadPoolExecutor(pairs.count_threads()) as pool:
        firsts = range(0, n_rows, ROW_BATCH)
        list(pool.map(lambda first: kernel(first, min(first + ROW_BATCH, n_rows), *shared), firsts))


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
    """Find the items that each item supports most in an implicit ALS model (Hu et al., ICDM 2008, section 5).

    The factors of a user are linear in the user's items. With item factors Y, and with equal confidence for all pairs,
    item i adds s(i, j) = y_iᵀ (YᵀY + λI)⁻¹ y_j to the score of j. Negative scores are dropped; the others are divided
    by the greatest.

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    k : neighbours per item, at least 1.
    factors, iterations : at least 1.  regularisation, confidence : above 0; see ``als_factors``.
    min_co_occurrence : pairs with fewer common users are not neighbours.

    Returns
    -------
    Neighbours of shape (n_items, k); scores in [0, 1].

    Raises ValueError if a value is out of range. Time: that of ``als_factors``, plus n_items² · factors, or less if few
    pairs have common users: then only those are scored. Memory: 4 bytes · factors · (n_users + n_items), plus a block
    of similarities.
    """
    if factors < 1 or iterations < 1 or regularisation <= 0 or confidence <= 0:
        raise ValueError("factors and iterations must be at least 1, regularisation and confidence above 0")
    matrix = validate(user_items, k)
    if matrix.nnz == 0:
        return Neighbours.none(matrix.shape[1], k)
    _, item_factors = als_factors(
        matrix, factors=factors, regularisation=regularisation, confidence=confidence, iterations=iterations, seed=seed
    )
    return read_factors(matrix, item_factors, regularisation, k, min_co_occurrence)


def read_factors(
    user_items: Matrix, item_factors: Float32Array, regularisation: float, k: int, min_co_occurrence: int
) -> Neighbours:
    """Return the item-to-item model of these item factors, as ``als_neighbours`` describes it.

    user_items : the matrix that the factors were learnt from, shape (n_users, n_items).
    item_factors : shape (n_items, factors).
    """
    n_items, factors = item_factors.shape
    inverse = np.linalg.inv(item_factors.T @ item_factors + regularisation * np.eye(factors, dtype=np.float32))
    source_factors = np.asarray(item_factors @ inverse, np.float32)
    few_pairs = pairs.worth_compiling_dense(n_items) and pairs.count_pairs(user_items) < n_items**2
    if min_co_occurrence >= 1 and few_pairs:
        return scale_scores(pairs.rank_by_factors(user_items, k, source_factors, item_factors, min_co_occurrence))
    return scale_scores(
        rank_rows(
            lambda first, last: source_factors[first:last] @ item_factors.T,
            user_items,
            k,
            min_co_occurrence=min_co_occurrence,
        )
    )
