"""The catalog of a history's products, as arrays."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from jobs.models.arrays import Float64Array, Int64Array, Matrix
from shared.storage.events import interactions


@dataclass(frozen=True)
class Catalog:
    """Attributes of the products of a history, in the order of its codes.

    Attributes
    ----------
    categories, brands : int64, shape (n_items,), codes, -1 where unknown.
    tags : shape (n_items, n_tags), 1 where a product has a tag.
    prices : float64, shape (n_items,), 0 where unknown.
    groups : shape (n_items,), codes of the groups of variants, -1 for none; None if no product has variants.
    """

    categories: Int64Array
    brands: Int64Array
    tags: Matrix
    prices: Float64Array
    groups: Int64Array | None = None

    @classmethod
    def unknown(cls, n_items: int) -> "Catalog":
        """Return a catalog in which no product has any attribute."""
        codes = np.full(n_items, -1, np.int64)
        return cls(codes, codes, sparse.csr_array((n_items, 0)), np.zeros(n_items))

    def select(self, items: Int64Array) -> "Catalog":
        """Return the catalog of the products at these positions, shape (n_selected,)."""
        groups = None if self.groups is None else self.groups[items]
        return Catalog(self.categories[items], self.brands[items], self.tags[items], self.prices[items], groups)


def catalog_of(product_ids: Int64Array) -> Catalog:
    """Read the catalog of these products, shape (n_items,), in this order."""
    rows = interactions.read_products(product_ids.tolist())
    tags = [list(dict.fromkeys(row[2] or ())) for row in rows]
    tag_rows = np.repeat(np.arange(len(rows)), [len(product_tags) for product_tags in tags])
    codes, names = pd.factorize(np.asarray([tag for product_tags in tags for tag in product_tags], dtype=object))
    return Catalog(
        categories=_codes([None if row[0] < 0 else row[0] for row in rows]),
        brands=_codes([row[1] for row in rows]),
        tags=sparse.csr_array((np.ones(len(tag_rows)), (tag_rows, codes)), shape=(len(rows), max(1, len(names)))),
        prices=np.asarray([row[3] for row in rows], np.float64),
        groups=_codes([row[4] for row in rows]) if any(row[4] is not None for row in rows) else None,
    )


def _codes(values: list[int | str | None] | list[int | None] | list[str | None]) -> Int64Array:
    """Return a code from 0 for each distinct value, -1 for None."""
    return np.asarray(pd.factorize(np.asarray(values, dtype=object), sort=False)[0], np.int64)
