"""What is bought together, from baskets: arrays in, arrays out.

With n baskets, n_i of them with product i and c with both i and j: confidence(i → j) = c / n_i, lift(i, j) = c · n /
(n_i · n_j), score(i, j) = c / √(n_i · n_j). Pairs with lift > 1 are kept and ordered by the score: the cosine, which
unlike lift does not favour what was hardly ever bought and unlike confidence not what everybody buys (null-invariant:
Tan, Kumar, Srivastava, KDD 2002).
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# products whose pairs are counted at a time: bounds memory by about this many rows of the co-occurrence matrix
BLOCK: Final = 2048


class Together(NamedTuple):
    """The products bought with one product, best first; all arrays alike long."""

    product: int
    others: NDArray[np.int64]
    scores: NDArray[np.float64]
    lifts: NDArray[np.float64]
    confidences: NDArray[np.float64]
    counts: NDArray[np.int64]


def bought_together(
    baskets: NDArray[np.int64], products: NDArray[np.int64], k: int, min_count: int
) -> Iterator[Together]:
    """Yield what is bought together with each product that has something, by ascending product.

    Parameters
    ----------
    baskets, products : shape (n,); basket and product of each line. A product counts once per basket.
    k : the most others per product, at least 1.
    min_count : products in fewer baskets and pairs in fewer say nothing, at least 1.

    Ties of the score go to the lower product. Cost is the sum over baskets of their size squared.
    """
    ids, items = np.unique(products, return_inverse=True)
    _, rows = np.unique(baskets, return_inverse=True)
    if not len(ids):
        return
    held = sparse.csr_array((np.ones(len(rows), np.int64), (rows, items)), shape=(int(rows.max()) + 1, len(ids)))
    # a line that comes twice was added up
    held.data[:] = 1
    totals: NDArray[Any] = np.asarray(held.sum(axis=0)).ravel()
    frequent = np.flatnonzero(totals >= min_count)
    total = held.shape[0]
    held = held[:, frequent]
    ids, totals = ids[frequent], totals[frequent].astype(np.float64)
    transposed = held.T.tocsr()
    for start in range(0, len(ids), BLOCK):
        block = (transposed[start : start + BLOCK] @ held).tocsr()
        for offset in range(block.shape[0]):
            row = start + offset
            span = slice(block.indptr[offset], block.indptr[offset + 1])
            others, counts = block.indices[span], block.data[span]
            both = totals[row] * totals[others]
            kept = (counts >= min_count) & (others != row) & (counts * float(total) > both)
            others, counts, both = others[kept], counts[kept], both[kept]
            if not len(others):
                continue
            scores = counts / np.sqrt(both)
            best = np.lexsort((others, -scores))[:k]
            yield Together(
                int(ids[row]),
                ids[others[best]],
                scores[best],
                (counts * float(total) / both)[best],
                (counts / totals[row])[best],
                counts[best],
            )
