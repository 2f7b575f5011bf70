"""Products bought together, from baskets: arrays in, arrays out.

With n baskets, n_i of them with product i and c with both i and j: confidence(i → j) = c / n_i, lift(i, j) = c · n /
(n_i · n_j), score(i, j) = c / √(n_i · n_j). Pairs with lift > 1 are kept and ordered by score. The score is the cosine,
which is null-invariant (Tan, Kumar, Srivastava, KDD 2002): unlike lift it does not favour products that are hardly ever
bought, and unlike confidence it does not favour those that everybody buys.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.models.arrays import Float64Array, Int64Array

# products whose pairs are counted at a time: memory is bounded by about this many rows of the co-occurrence matrix
BLOCK: Final = 2048


class Associations(NamedTuple):
    """The products bought together with one product, best first; arrays of shape (n_others,), at most k.

    scores : in (0, 1].  lifts : above 1.  confidences : in (0, 1].  counts : baskets with both products.
    """

    product: int
    others: Int64Array
    scores: Float64Array
    lifts: Float64Array
    confidences: Float64Array
    counts: Int64Array


def find_associations(baskets: Int64Array, products: Int64Array, k: int, min_count: int) -> Iterator[Associations]:
    """Yield the associations of every product that has any, in ascending order of product.

    Parameters
    ----------
    baskets, products : shape (n_lines,), the basket and the product of each line. A product counts once per basket.
    k : the maximum number of others per product, at least 1.
    min_count : at least 1; products and pairs in fewer baskets are left out.

    Equal scores rank by product, ascending. Time is Σ over baskets of their products².
    """
    ids, columns = np.unique(products, return_inverse=True)
    _, rows = np.unique(baskets, return_inverse=True)
    if not len(ids):
        return
    by_basket = sparse.csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(int(rows.max()) + 1, len(ids)))
    # the constructor has added up repeated lines
    by_basket.data[:] = 1
    product_counts: NDArray[Any] = np.asarray(by_basket.sum(axis=0)).ravel()
    frequent = np.flatnonzero(product_counts >= min_count)
    n_baskets = by_basket.shape[0]
    by_basket = by_basket[:, frequent]
    ids, totals = ids[frequent], product_counts[frequent].astype(np.float64)
    by_product = by_basket.T.tocsr()
    for start in range(0, len(ids), BLOCK):
        block = (by_product[start : start + BLOCK] @ by_basket).tocsr()
        for offset in range(block.shape[0]):
            row = start + offset
            entries = slice(block.indptr[offset], block.indptr[offset + 1])
            others, counts = block.indices[entries], block.data[entries]
            expected = totals[row] * totals[others]
            # c · n > n_i · n_j is lift > 1 without a division
            keep = (counts >= min_count) & (others != row) & (counts * float(n_baskets) > expected)
            others, counts, expected = others[keep], counts[keep], expected[keep]
            if not len(others):
                continue
            scores = counts / np.sqrt(expected)
            best = np.lexsort((others, -scores))[:k]
            yield Associations(
                int(ids[row]),
                ids[others[best]],
                scores[best],
                (counts * float(n_baskets) / expected)[best],
                (counts / totals[row])[best],
                counts[best],
            )
