"""What the shop knows of its products, as arrays."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from jobs.models.neighbours import Matrix
from shared.storage.events import interactions


@dataclass(frozen=True)
class Catalog:
    """What is known of the products of a history, in its codes.

    categories, brands : int64, shape (n_items,), codes, -1 where there is none.
    tags : shape (n_items, n_tags), 1 where a product has one.
    prices : float64, shape (n_items,), 0 where there is none.
    """

    categories: NDArray[np.int64]
    brands: NDArray[np.int64]
    tags: Matrix
    prices: NDArray[np.float64]

    @classmethod
    def unknown(cls, n_items: int) -> "Catalog":
        """Return the catalog of a shop that says nothing of its products."""
        nothing = np.full(n_items, -1, np.int64)
        return cls(nothing, nothing, sparse.csr_array((n_items, 0)), np.zeros(n_items))

    def select(self, items: NDArray[np.int64]) -> "Catalog":
        """Return the products at these positions."""
        return Catalog(self.categories[items], self.brands[items], self.tags[items], self.prices[items])


def catalog_of(product_ids: NDArray[np.int64]) -> Catalog:
    """Read the catalog of these products, in this order."""
    rows = interactions.products(product_ids.tolist())
    tags = [list(dict.fromkeys(row[2] or ())) for row in rows]
    of = np.repeat(np.arange(len(rows)), [len(one) for one in tags])
    codes, names = pd.factorize(np.asarray([tag for one in tags for tag in one], dtype=object))
    return Catalog(
        categories=_codes([None if row[0] < 0 else row[0] for row in rows]),
        brands=_codes([row[1] for row in rows]),
        tags=sparse.csr_array((np.ones(len(of)), (of, codes)), shape=(len(rows), max(1, len(names)))),
        prices=np.asarray([row[3] for row in rows], np.float64),
    )


def _codes(values: list[int | str | None] | list[int | None] | list[str | None]) -> NDArray[np.int64]:
    return np.asarray(pd.factorize(np.asarray(values, dtype=object), sort=False)[0], np.int64)
