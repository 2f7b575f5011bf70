"""Synthetic shops for the quality benchmark: the default one, and three of other kinds."""

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
    """A shop to measure: its history, its catalog, and the number of days to hold out.

    ``oracle`` : for a synthetic shop, the probability of each product in a user's events, shape (n_users, n_items).
    """

    name: str
    history: History
    catalog: Catalog
    days: float
    oracle: NDArray[np.float64] | None = None


# Options of local/data/synthetic.py. sparse: few events per user and a long tail; dense: hundreds per user in a small
# catalog; view-heavy: only purchases are relevant, three events of a hundred. Popularity is skewed, as in real shops.
SYNTHETIC_SHOPS: Final[dict[str, dict[str, Any]]] = {
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


def synthetic_case(name: str, seed: int) -> Case:
    """Return a synthetic shop of this seed. Its catalog has the categories of products and nothing else."""
    from local.data.synthetic import make

    shop = make({"seed": seed} | SYNTHETIC_SHOPS[name])
    weights = np.asarray([EVENT_WEIGHTS[EventType(event_type)] for event_type in shop.event_types], np.float32)
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
    # products of a category are adjacent, the most popular first
    within = np.arange(len(codes)) - np.searchsorted(codes, codes)
    popularity = (within + 1.0) ** -float(SYNTHETIC_SHOPS[name].get("skew", 0.0))
    popularity /= np.bincount(codes, weights=popularity)[codes]
    catalog = Catalog(codes, unknown.brands, unknown.tags, unknown.prices)
    return Case(name, history, catalog, 7, shop.tastes[:, codes] * popularity)
