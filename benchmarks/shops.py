"""Shops made for the quality benchmark: the reference shop, and three of other kinds."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobs.data.catalog import Catalog
from jobs.data.history import History
from shared.domain.events import EVENT_WEIGHTS, EventType


@dataclass(frozen=True)
class Case:
    """A shop to measure: what was done, what is known of its products, and how many days are held out.

    ``oracle`` : where the shop was made, how likely each user is to turn to each product, shape (n_users, n_items).
    """

    name: str
    history: History
    catalog: Catalog
    days: float
    oracle: NDArray[np.float64] | None = None


# Options of local/data/synthetic.py. sparse: few events a user and a long tail; dense: hundreds a user in a small
# catalog; view-heavy: purchases alone are relevant, and three of a hundred events. Popularity is skewed, as it is.
MADE: Final[dict[str, dict[str, Any]]] = {
    "synthetic": {},
    "sparse": {"users": 8_000, "products": 8_000, "categories": 40, "events": 60_000, "skew": 0.9},
    "dense": {"users": 400, "products": 300, "categories": 10, "events": 80_000, "skew": 0.6},
    "view-heavy": {
        "users": 2_500,
        "products": 2_000,
        "categories": 20,
        "events": 150_000,
        "skew": 0.8,
        "view": 0.97,
        "add_to_cart": 0.0,
    },
}


def made(name: str, seed: int) -> Case:
    """Return a made shop of this seed; its catalog says each product's category and nothing else."""
    from local.data.synthetic import make

    shop = make({"seed": seed} | MADE[name])
    weights = np.asarray([EVENT_WEIGHTS[EventType(one)] for one in shop.event_types], np.float32)
    history = History(
        np.arange(len(shop.users)),
        np.arange(len(shop.products)),
        shop.events.user,
        shop.events.product,
        weights[shop.events.event_type],
        shop.events.occurred_at,
    )
    unknown = Catalog.unknown(len(shop.products))
    codes = np.asarray(pd.factorize(shop.products["category"])[0], np.int64)
    assert shop.tastes is not None
    # products of a category stand together, the most popular first
    within = np.arange(len(codes)) - np.searchsorted(codes, codes)
    popularity = (within + 1.0) ** -float(MADE[name].get("skew", 0.0))
    popularity /= np.bincount(codes, weights=popularity)[codes]
    catalog = Catalog(codes, unknown.brands, unknown.tags, unknown.prices)
    return Case(name, history, catalog, 7, shop.tastes[:, codes] * popularity)
