"""The neighbours of several models in one list: each model knows pairs that the others miss."""

from collections.abc import Sequence

import numpy as np

from jobs.models.blocks import scale_scores
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.models.topk import fill_top_k


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

    Time O(entries · log entries); memory about 60 bytes per entry.
    """
    n_items = len(parts[0][0].indices)
    keys, scores, counts = [], [], []
    for neighbours, share in parts:
        filled = neighbours.indices != NO_NEIGHBOUR
        rows = np.repeat(np.arange(n_items), filled.sum(axis=1))
        values = neighbours.scores[filled].astype(np.float64)
        keys.append(rows * n_items + neighbours.indices[filled])
        scores.append(share / (neighbours.mean_score or 1.0) * values)
        counts.append(neighbours.co_occurrence[filled])
    mixed = Neighbours.none(n_items, k)
    key = np.concatenate(keys)
    if not len(key):
        return mixed
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    summed = np.add.reduceat(np.concatenate(scores)[order], first)
    co_occurrence = np.maximum.reduceat(np.concatenate(counts)[order], first)
    indptr = np.searchsorted(key[first] // n_items, np.arange(n_items + 1))
    fill_top_k(mixed, 0, indptr, key[first] % n_items, summed.astype(np.float32), co_occurrence)
    return scale_scores(mixed)
