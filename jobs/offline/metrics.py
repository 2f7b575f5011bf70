"""What an answer is worth, user by user, and what a set of answers covers."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.models.arrays import Matrix

AT: Final = (5, 10, 20)
# the order in which they are reported
RANKING: Final = ("ndcg", "recall", "precision", "hit", "mrr")

Reals = NDArray[np.float64]


def hits(answers: NDArray[np.int64], relevant: Matrix) -> NDArray[np.bool_]:
    """Return which places are right, shape (n_rows, k).

    answers : items best first, shape (n_rows, k), padded with -1;  relevant : shape (n_rows, n_items), not 0 where so.
    """
    n_items = relevant.shape[1]
    rows = np.repeat(np.arange(relevant.shape[0]), np.diff(relevant.indptr))
    right = np.sort(rows * n_items + relevant.indices.astype(np.int64))
    keys = np.where(answers >= 0, np.arange(len(answers))[:, None] * n_items + answers, -1)
    if not len(right):
        return np.zeros(answers.shape, np.bool_)
    return np.asarray(right[np.minimum(np.searchsorted(right, keys), len(right) - 1)] == keys)


def discounts(k: int) -> Reals:
    """Return what a hit at each of ``k`` places counts: 1 / log2(place + 1)."""
    return np.asarray(1.0 / np.log2(np.arange(k) + 2.0))


def ndcg(right: NDArray[np.bool_], counts: NDArray[np.int64]) -> Reals:
    """Return NDCG per row: ``right`` of shape (n_rows, k), ``counts`` how many are relevant, at least 1."""
    k = right.shape[1]
    ideal = np.cumsum(discounts(k))[np.minimum(counts, k) - 1]
    return np.asarray((right * discounts(k)).sum(axis=1) / ideal)


def per_user(answers: NDArray[np.int64], relevant: Matrix) -> dict[str, Reals]:
    """Return every ranking metric of each row, as ``ndcg@20`` and so on, each of shape (n_rows,).

    Every row has at least one relevant item. Recall is of all relevant; precision is of k, filled or not; MRR is of the
    first k.
    """
    counts = np.diff(relevant.indptr).astype(np.int64)
    right = hits(answers, relevant)
    found: dict[str, Reals] = {}
    for k in AT:
        first = right[:, :k]
        number = first.sum(axis=1)
        place = np.where(number > 0, first.argmax(axis=1) + 1.0, np.inf)
        found[f"ndcg@{k}"] = ndcg(first, counts)
        found[f"recall@{k}"] = number / counts
        found[f"precision@{k}"] = number / k
        found[f"hit@{k}"] = (number > 0) * 1.0
        found[f"mrr@{k}"] = 1.0 / place
    return found


def beyond_accuracy(
    answers: NDArray[np.int64], known: NDArray[np.bool_], popularity: Reals, categories: NDArray[np.int64]
) -> dict[str, float]:
    """Return coverage, novelty and diversity at 20.

    coverage : share of the known items that are shown to somebody.
    novelty : mean over shown of −log2(share of users who have it), in bits (Vargas and Castells, RecSys 2011).
    diversity : mean over users of the share of pairs in an answer that differ in category; NaN without categories.

    popularity : share of users who have each item, shape (n_items,).
    """
    shown = answers[:, : AT[-1]]
    filled = shown[shown >= 0]
    novelty = -np.log2(np.maximum(popularity[filled], 1e-9)).mean() if len(filled) else 0.0
    found = {"coverage@20": len(np.unique(filled)) / max(1, int(known.sum())), "novelty@20": float(novelty)}
    if (categories >= 0).any():
        codes = np.where(shown >= 0, categories[np.maximum(shown, 0)], -1)
        differ = (codes[:, :, None] != codes[:, None, :]) & (codes[:, :, None] >= 0) & (codes[:, None, :] >= 0)
        both = (codes[:, :, None] >= 0) & (codes[:, None, :] >= 0) & ~np.eye(shown.shape[1], dtype=bool)
        pairs = both.sum(axis=(1, 2))
        if (pairs > 0).any():
            found["diversity@20"] = float((differ.sum(axis=(1, 2))[pairs > 0] / pairs[pairs > 0]).mean())
    return found


def interval(values: Reals, *, seed: int = 0, resamples: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap confidence interval of the mean over users (Efron, 1979; percentiles of resampled means)."""
    if len(values) < 2:
        return float(values.mean()), float(values.mean())
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, 2_000_000 // len(values))
    for first in range(0, resamples, step):
        size = min(step, resamples - first)
        means[first : first + size] = values[random.integers(0, len(values), (size, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summary(values: Mapping[str, Reals]) -> dict[str, float]:
    """Return the mean over users of each metric."""
    return {name: float(one.mean()) for name, one in values.items()}
