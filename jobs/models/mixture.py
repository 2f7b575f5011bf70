"""The neighbours of several models in one list: each model knows pairs that the others miss."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from jobs.models.blocks import scale_scores
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.models.topk import fill_top_k

# items that are mixed at a time: a million entries of each part
MIXED_BATCH: Final = 20_000


def mix_models(parts: Sequence[tuple[Neighbours, float]], k: int) -> Neighbours:
    """Return each item's ``k`` best neighbours by the weighted sum of several models' scores.

    Parameters
    ----------
    parts : at least one model's neighbours of the same items with its share, above 0. Models score on different scales,
        so each is divided by its mean score first.
    k : neighbours per item, at least 1.

    Returns
    -------
    Neighbours of shape (n_items, k); scores are divided by the greatest, in [0, 1]. The co-occurrence of a pair is the
    greatest among the parts.

    Time O(entries · log entries); memory for the result, and for MIXED_BATCH items at a time.
    """
    n_items = len(parts[0][0].indices)
    mixed = Neighbours.none(n_items, k)
    for first in range(0, n_items, MIXED_BATCH):
        _mix_items(mixed, parts, first, min(first + MIXED_BATCH, n_items))
    return scale_scores(mixed)


def _mix_items(mixed: Neighbours, parts: Sequence[tuple[Neighbours, float]], begin: int, end: int) -> None:
    """Fill in the neighbours of the items from ``begin`` to ``end``, exclusive."""
    n_items = len(mixed.indices)
    keys, scores, counts = [], [], []
    for neighbours, share in parts:
        indices = neighbours.indices[begin:end]
        filled = indices != NO_NEIGHBOUR
        rows = np.repeat(np.arange(end - begin), filled.sum(axis=1))
        values = neighbours.scores[begin:end][filled].astype(np.float64)
        keys.append(rows * n_items + indices[filled])
        scores.append(share / (neighbours.mean_score or 1.0) * values)
        counts.append(neighbours.co_occurrence[begin:end][filled])
    key = np.concatenate(keys)
    if not len(key):
        return
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    summed = np.add.reduceat(np.concatenate(scores)[order], first)
    co_occurrence = np.maximum.reduceat(np.concatenate(counts)[order], first)
    indptr = np.searchsorted(key[first] // n_items, np.arange(end - begin + 1))
    fill_top_k(mixed, begin, indptr, key[first] % n_items, summed.astype(np.float32), co_occurrence)
