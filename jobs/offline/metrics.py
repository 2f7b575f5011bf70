"""Metrics of recommendations: ranking metrics for each user, and metrics of a set of answers."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from jobs.models.arrays import BoolArray, Float64Array, Int64Array, Matrix

# Lengths of the answer at which ranking metrics are computed.
CUTOFFS: Final = (5, 10, 20)
# The least share of users that novelty assumes, since log2(0) is infinite.
POPULARITY_MIN: Final = 1e-9
# The greatest number of values drawn in one step of the bootstrap, which bounds its memory at 16 MB.
BOOTSTRAP_BLOCK: Final = 2_000_000


def find_hits(answers: Int64Array, relevant: Matrix) -> BoolArray:
    """Return a mask of the places that hold a relevant item, shape (n_rows, k).

    answers : items, best first, shape (n_rows, k), padded with −1.
    relevant : shape (n_rows, n_items), nonzero where an item is relevant.
    """
    n_items = relevant.shape[1]
    rows = np.repeat(np.arange(relevant.shape[0]), np.diff(relevant.indptr))
    relevant_keys = np.sort(rows * n_items + relevant.indices.astype(np.int64))
    keys = np.where(answers >= 0, np.arange(len(answers))[:, None] * n_items + answers, -1)
    if not len(relevant_keys):
        return np.zeros(answers.shape, np.bool_)
    places = np.minimum(np.searchsorted(relevant_keys, keys), len(relevant_keys) - 1)
    return np.asarray(relevant_keys[places] == keys)


def discounts(k: int) -> Float64Array:
    """Return the discounted gain of a hit at each of ``k`` places: 1 / log2(place + 1), with places from 1."""
    return np.asarray(1.0 / np.log2(np.arange(k) + 2.0))


def ndcg(hits: BoolArray, relevant_counts: Int64Array) -> Float64Array:
    """Return NDCG of each row, shape (n_rows,), with binary gains (Järvelin and Kekäläinen, TOIS 2002).

    hits : shape (n_rows, k).
    relevant_counts : number of relevant items of each row, at least 1, shape (n_rows,).
    """
    k = hits.shape[1]
    ideal = np.cumsum(discounts(k))[np.minimum(relevant_counts, k) - 1]
    return np.asarray((hits * discounts(k)).sum(axis=1) / ideal)


def score_users(answers: Int64Array, relevant: Matrix) -> dict[str, Float64Array]:
    """Return each ranking metric for each user, shape (n_rows,), under names such as ``ndcg@20``.

    Each row must have at least one relevant item. Recall is the number of hits divided by the number of relevant items;
    precision is divided by k, whether or not all places are filled; MRR considers the first k places.
    """
    relevant_counts = np.diff(relevant.indptr).astype(np.int64)
    hits = find_hits(answers, relevant)
    scores: dict[str, Float64Array] = {}
    for k in CUTOFFS:
        first = hits[:, :k]
        hit_counts = first.sum(axis=1)
        best_place = np.where(hit_counts > 0, first.argmax(axis=1) + 1.0, np.inf)
        scores[f"ndcg@{k}"] = ndcg(first, relevant_counts)
        scores[f"recall@{k}"] = hit_counts / relevant_counts
        scores[f"precision@{k}"] = hit_counts / k
        scores[f"hit@{k}"] = (hit_counts > 0) * 1.0
        scores[f"mrr@{k}"] = 1.0 / best_place
    return scores


def beyond_accuracy(
    answers: Int64Array, known: BoolArray, popularity: Float64Array, categories: Int64Array
) -> dict[str, float]:
    """Return coverage, novelty and diversity of the answers at 20.

    coverage : share of the known items that appear in at least one answer.
    novelty : mean over recommended items of −log2(share of users with the item), in bits (Vargas and Castells, RecSys
        2011).
    diversity : mean over users of the share of pairs in an answer that differ in category; absent without categories.

    known : shape (n_items,), whether each item can be recommended.
    popularity : shape (n_items,), share of users with each item.
    categories : shape (n_items,), code of each item, −1 for none.
    """
    top = answers[:, : CUTOFFS[-1]]
    filled = top[top >= 0]
    novelty = -np.log2(np.maximum(popularity[filled], POPULARITY_MIN)).mean() if len(filled) else 0.0
    metrics = {"coverage@20": len(np.unique(filled)) / max(1, int(known.sum())), "novelty@20": float(novelty)}
    if (categories >= 0).any():
        codes = np.where(top >= 0, categories[np.maximum(top, 0)], -1)
        both_known = (codes[:, :, None] >= 0) & (codes[:, None, :] >= 0)
        differ = (codes[:, :, None] != codes[:, None, :]) & both_known
        pair_counts = (both_known & ~np.eye(top.shape[1], dtype=bool)).sum(axis=(1, 2))
        has_pairs = pair_counts > 0
        if has_pairs.any():
            metrics["diversity@20"] = float((differ.sum(axis=(1, 2))[has_pairs] / pair_counts[has_pairs]).mean())
    return metrics


def bootstrap_interval(
    values: Float64Array, *, seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap confidence interval of the mean over users (Efron, 1979)."""
    if len(values) < 2:
        return float(values.mean()), float(values.mean())
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, BOOTSTRAP_BLOCK // len(values))
    for first in range(0, resamples, step):
        size = min(step, resamples - first)
        means[first : first + size] = values[random.integers(0, len(values), (size, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_scores(scores: Mapping[str, Float64Array]) -> dict[str, float]:
    """Return the mean over users of each metric."""
    return {name: float(values.mean()) for name, values in scores.items()}
