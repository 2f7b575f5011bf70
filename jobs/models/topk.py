"""The k best entries of each row of a sparse block: exact, ties included."""

import numpy as np
from numpy.typing import NDArray

from jobs.models.neighbours import Neighbours


def fill_top_k(
    into: Neighbours,
    first_row: int,
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    scores: NDArray[np.float32],
    co_occurrence: NDArray[np.integer],
) -> None:
    """Write the best entries of the rows of a CSR block into ``into``, starting at ``first_row``.

    Ranked by score, then co-occurrence, then index, so that the answer does not depend on the order of the entries.
    Scores are ranked as they are stored, in single precision. O(entries + kept · log kept).
    """
    k = into.indices.shape[1]
    kept: list[NDArray[np.int64]] = []
    for start, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        if end - start <= k:
            kept.append(np.arange(start, end))
        else:
            row = scores[start:end]
            # everything that ties with the k-th stays until the full order decides
            kept.append(start + np.flatnonzero(row >= np.partition(row, end - start - k)[end - start - k]))
    entries = np.concatenate(kept)
    rows = np.repeat(np.arange(len(kept)), [len(one) for one in kept])
    order = np.lexsort((indices[entries], -co_occurrence[entries], -scores[entries], rows))
    entries, rows = entries[order], rows[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    entries, rows, place = entries[place < k], first_row + rows[place < k], place[place < k]
    into.indices[rows, place] = indices[entries]
    into.scores[rows, place] = scores[entries]
    into.co_occurrence[rows, place] = co_occurrence[entries]
