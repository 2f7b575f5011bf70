"""The top k entries of each row of a sparse block: exact, with ties broken deterministically."""

import numpy as np

from jobs.models.arrays import Float32Array, Int64Array, IntArray
from jobs.models.neighbours import Neighbours


def fill_top_k(
    neighbours: Neighbours,
    first_row: int,
    indptr: IntArray,
    indices: IntArray,
    scores: Float32Array,
    co_occurrence: IntArray,
) -> None:
    """Write the best entries of each row of a CSR block into ``neighbours``, from ``first_row`` on.

    Ranks by score, then co-occurrence, then index, so that the result does not depend on the order of the entries.

    Parameters
    ----------
    neighbours : shape (n_items, k), changed in place.
    indptr : shape (n_rows + 1,).  indices, scores, co_occurrence : shape (n_entries,), the block as CSR.

    Time O(n_entries + kept · log kept).
    """
    k = neighbours.indices.shape[1]
    kept: list[Int64Array] = []
    for start, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        if end - start <= k:
            kept.append(np.arange(start, end))
        else:
            row = scores[start:end]
            # keep the entries that tie with the k-th: the full ordering below decides between them
            kept.append(start + np.flatnonzero(row >= np.partition(row, end - start - k)[end - start - k]))
    entries = np.concatenate(kept)
    rows = np.repeat(np.arange(len(kept)), [len(row_entries) for row_entries in kept])
    order = np.lexsort((indices[entries], -co_occurrence[entries], -scores[entries], rows))
    entries, rows = entries[order], rows[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    best = places < k
    entries, rows, places = entries[best], first_row + rows[best], places[best]
    neighbours.indices[rows, places] = indices[entries]
    neighbours.scores[rows, places] = scores[entries]
    neighbours.co_occurrence[rows, places] = co_occurrence[entries]
