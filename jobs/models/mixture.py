"""Several models' neighbours as one list: what one model misses, another knows."""

from collections.abc import Sequence

import numpy as np

from jobs.models.blocks import scaled
from jobs.models.neighbours import NOBODY, Neighbours
from jobs.models.topk import fill_top_k


def mixed_neighbours(parts: Sequence[tuple[Neighbours, float]], k: int) -> Neighbours:
    """Return each item's best by the weighted sum of what several models say of it.

    Parameters
    ----------
    parts : at least one; neighbours of the same items, each with its share, above 0. Models score on scales of their
        own, so each is divided by its mean score first.
    k : at least 1.

    Scores are divided by the greatest: in [0, 1]. Co-occurrence is the greatest that a part says. O(entries · log
    entries); memory about 60 bytes an entry.
    """
    n_items = len(parts[0][0].indices)
    keys, scores, counts = [], [], []
    for found, share in parts:
        filled = found.indices != NOBODY
        rows = np.repeat(np.arange(n_items), filled.sum(axis=1))
        values = found.scores[filled].astype(np.float64)
        keys.append(rows * n_items + found.indices[filled])
        scores.append(share / (found.mean_score or 1.0) * values)
        counts.append(found.co_occurrence[filled])
    into = Neighbours.none(n_items, k)
    key = np.concatenate(keys)
    if not len(key):
        return into
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    summed = np.add.reduceat(np.concatenate(scores)[order], first)
    together = np.maximum.reduceat(np.concatenate(counts)[order], first)
    indptr = np.searchsorted(key[first] // n_items, np.arange(n_items + 1))
    fill_top_k(into, 0, indptr, key[first] % n_items, summed.astype(np.float32), together)
    return scaled(into)
