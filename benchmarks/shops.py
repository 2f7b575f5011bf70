"""Shops for the quality benchmark: real ones, read from files, and synthetic ones of five kinds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobs.data.catalog import Catalog
from jobs.data.files import histories, read_catalog, read_events
from jobs.data.history import History
from jobs.offline.split import Split, join_histories, leave_last_out, split_by_file, split_last_days
from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.tables.columns import PRODUCT_COLUMNS, Columns, parse_columns


@dataclass(frozen=True)
class Planted:
    """What is known of the order in a synthetic shop.

    successors : shape (n_items, 3), where a visit goes on to.  shares : how often to each of them, shape (3,).
    follow : the share of users' last events that go on from the event before.
    """

    successors: NDArray[np.int32]
    shares: NDArray[np.float64]
    follow: float


@dataclass(frozen=True)
class Case:
    """A shop to measure.

    Attributes
    ----------
    catalog : in the codes of the history, or of both with ``held_out``.
    days : days to hold out at the end of the history; None to hold out each user's last event, or ``held_out``.
    held_out : the held-out events of a shop that comes with a file of them, in codes of their own.
    oracle : for a synthetic shop, the probability of each product in a user's events, shape (n_users, n_items).
    planted : for a synthetic shop with visits.
    """

    name: str
    history: History
    catalog: Catalog
    days: float | None
    held_out: History | None = None
    oracle: NDArray[np.float64] | None = None
    planted: Planted | None = None

    def split(self, *, new_only: bool) -> Split:
        """Return the split to measure on."""
        if self.held_out is not None:
            return split_by_file(self.history, self.held_out, new_only=new_only)
        if self.days is None:
            return leave_last_out(self.history, new_only=new_only)
        return split_last_days(self.history, self.days, new_only=new_only)


# Real shops, by the folder of their files, and the days to hold out; the held-out events of the last are in a file.
REAL_SHOPS: Final[dict[str, float | None]] = {"online_retail": 30, "complete_journey": 30, "sessions": None}
HELD_OUT_FILE: Final = "test.parquet"

# Options of local/data/synthetic.py. sparse: few events per user and a long tail; dense: hundreds per user in a small
# catalog; view-heavy: only purchases are relevant, three events of a hundred; visits: people click from product to
# product, and each one's last click is held out. Popularity is skewed, as in real shops.
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
    "visits": {
        "users": 4_000,
        "products": 1_500,
        "categories": 15,
        "events": 40_000,
        "skew": 0.6,
        # every event is relevant
        "view": 0.0,
        "session_events": 4.0,
        "follow": 0.6,
    },
}
LEAVE_LAST_OUT: Final = frozenset({"visits"})


def real_case(name: str, folder: Path) -> Case:
    """Return a shop read from the files in its folder below ``folder``."""
    files = [read_events(str(folder / name / "events.parquet"))]
    if (folder / name / HELD_OUT_FILE).is_file():
        files.append(read_events(str(folder / name / HELD_OUT_FILE)))
    (history, *others), item_names = histories(*files)
    catalog = Catalog.unknown(len(item_names))
    if (folder / name / "items.parquet").is_file():
        # ids are those of the events, whatever other ids the file has
        columns = Columns(PRODUCT_COLUMNS, parse_columns("external_id:item_id", PRODUCT_COLUMNS))
        catalog = read_catalog(str(folder / name / "items.parquet"), item_names, columns=columns).catalog
    if others:
        catalog = catalog.select(join_histories(history, others[0]).product_ids)
    return Case(name, history, catalog, REAL_SHOPS[name], others[0] if others else None)


def synthetic_case(name: str, seed: int, options: Mapping[str, Any] | None = None) -> Case:
    """Return a synthetic shop of this seed. Its catalog has the categories of products and nothing else.

    options : of local/data/synthetic.py; those of SYNTHETIC_SHOPS by default.
    """
    options = SYNTHETIC_SHOPS[name] if options is None else options
    from local.data.synthetic import SUCCESSOR_SHARES, make

    shop = make({"seed": seed} | dict(options))
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
    popularity = (within + 1.0) ** -float(options.get("skew", 0.0))
    popularity /= np.bincount(codes, weights=popularity)[codes]
    catalog = Catalog(codes, unknown.brands, unknown.tags, unknown.prices)
    planted = None
    if shop.successors is not None:
        # a last event goes on if its visit has more than one: visits' lengths are Poisson distributed, and not 0
        mean = float(options["session_events"])
        goes_on = 1 - mean * math.exp(-mean) / -math.expm1(-mean)
        planted = Planted(shop.successors, np.array(SUCCESSOR_SHARES), options["follow"] * goes_on)
    days = None if name in LEAVE_LAST_OUT else 7.0
    return Case(name, history, catalog, days, oracle=shop.tastes[:, codes] * popularity, planted=planted)
