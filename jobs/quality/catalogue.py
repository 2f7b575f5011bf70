"""What the shop knows of its products, as arrays."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from jobs.quality.past import Catalogue
from shared.storage import interactions


def catalogue_of(product_ids: NDArray[np.int64]) -> Catalogue:
    """Read the catalogue of these products, in this order."""
    rows = interactions.products(product_ids.tolist())
    tags = [list(dict.fromkeys(row[2] or ())) for row in rows]
    of = np.repeat(np.arange(len(rows)), [len(one) for one in tags])
    codes, names = pd.factorize(np.asarray([tag for one in tags for tag in one], dtype=object))
    return Catalogue(
        categories=_codes([None if row[0] < 0 else row[0] for row in rows]),
        brands=_codes([row[1] for row in rows]),
        tags=sparse.csr_array((np.ones(len(of)), (of, codes)), shape=(len(rows), max(1, len(names)))),
        prices=np.asarray([row[3] for row in rows], np.float64),
    )


def _codes(values: list[int | str | None] | list[int | None] | list[str | None]) -> NDArray[np.int64]:
    return np.asarray(pd.factorize(np.asarray(values, dtype=object), sort=False)[0], np.int64)
