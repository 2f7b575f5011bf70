"""A shop in memory: a catalog and its events as arrays. Every data set is read into this form, then stored."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from shared.domain.shop import ShopSettings

# settings of a shop with English titles
ENGLISH: Final = ShopSettings(search_language="english")
PRODUCT_COLUMNS: Final = (
    "external_id",
    "name",
    "description",
    "price",
    "category",
    "brand",
    "tags",
    "quantity",
    "is_active",
    "created_at",
)


@dataclass(frozen=True)
class Events:
    """Events as arrays of one length; ``product`` and ``user`` are positions in the shop's lists."""

    ids: pa.Array
    user: npt.NDArray[np.int32]
    product: npt.NDArray[np.int32]
    event_type: npt.NDArray[np.int8]
    quantity: npt.NDArray[np.int32]
    # in UTC
    occurred_at: Any
    session_id: Any = None


@dataclass(frozen=True)
class Shop:
    """A catalog and its history.

    ``products`` has PRODUCT_COLUMNS: price as decimal text, category by name, tags as lists, created_at in UTC without
    a zone. ``users`` has external_id and is_anonymous. ``events.event_type`` indexes ``event_types``.
    ``tastes`` : shape (n_users, n_categories), the share of each category in a user's events; None for a real shop,
    where it is unknown. ``successors`` : shape (n_products, 3), the products that a visit goes on to from each product,
    the likeliest first; None where visits have no planted order.
    """

    products: pd.DataFrame
    users: pd.DataFrame
    event_types: tuple[str, ...]
    events: Events
    tastes: npt.NDArray[np.float64] | None = None
    successors: npt.NDArray[np.int32] | None = None
    settings: ShopSettings = ENGLISH
