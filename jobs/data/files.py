"""Events and products from files: what can be measured without a running system."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.data.history import History
from shared.domain.events import EVENT_WEIGHTS

COLUMNS: Final = ("user_id", "item_id", "event_type", "timestamp")
TIMES: Final = ("1990-01-01", "2100-01-01")


class UnreadableFile(ValueError):
    """A file that is not what it should be; the message says what is wrong with it."""


@dataclass(frozen=True)
class EventFile:
    """The events of one file, before they are codes: ids as text, weights above 0, times.

    ``dropped`` : how many rows were left out, by reason.
    """

    users: NDArray[np.object_]
    items: NDArray[np.object_]
    weights: NDArray[np.float32]
    times: NDArray[np.datetime64]
    dropped: dict[str, int]


def _table(path: str) -> pd.DataFrame:
    if not Path(path).is_file():
        raise UnreadableFile(f"{path}: there is no such file")
    try:
        if path.endswith((".parquet", ".pq")):
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except Exception as error:  # noqa: BLE001  # readers raise anything on what is not a table
        raise UnreadableFile(f"{path}: not readable as CSV or parquet: {error}") from None


def _times(column: "pd.Series[Any]", path: str) -> "pd.Series[Any]":
    """Return times in UTC, NaT where one makes no sense: numbers are milliseconds since 1970, text is ISO 8601."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.to_datetime(column, utc=True)
    numbers = pd.to_numeric(column, errors="coerce")
    if column.notna().any() and numbers.notna().sum() >= 0.5 * column.notna().sum():
        times = pd.to_datetime(numbers, unit="ms", utc=True, errors="coerce")
        if times.notna().any() and times.max() < pd.Timestamp(TIMES[0], tz="UTC"):
            raise UnreadableFile(f"{path}: timestamps look like seconds; give milliseconds since 1970, or ISO 8601")
        return times
    return pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")


def _ids(column: "pd.Series[Any]") -> NDArray[np.object_]:
    return np.asarray(column.astype(str).to_numpy(dtype=object))


def read_events(path: str) -> EventFile:
    """Read events: columns user_id, item_id, event_type and timestamp; others are ignored. CSV or parquet, by name.

    Unknown event types, types that weigh nothing, missing ids and times that make no sense are left out and counted.
    Raises UnreadableFile, saying what is wrong.
    """
    table = _table(path)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UnreadableFile(f"{path}: lacks the column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
    types = table["event_type"].astype("object").map(str)
    known = {one.value: weight for one, weight in EVENT_WEIGHTS.items()}
    weights = types.map(known).astype("float64")
    times = _times(table["timestamp"], path)
    low, high = (pd.Timestamp(one, tz="UTC") for one in TIMES)
    reasons = {
        "no id": table["user_id"].isna() | table["item_id"].isna(),
        "time that makes no sense": times.isna() | (times < low) | (times > high),
        "unknown event type": weights.isna(),
        "event type of no weight": weights == 0,
    }
    keep = pd.Series(True, index=table.index)
    dropped: dict[str, int] = {}
    for reason, bad in reasons.items():
        if number := int((bad & keep).sum()):
            dropped[reason] = number
        keep &= ~bad
    chosen = table[keep]
    return EventFile(
        _ids(chosen["user_id"]),
        _ids(chosen["item_id"]),
        weights[keep].to_numpy(np.float32),
        times[keep].dt.tz_localize(None).to_numpy().astype("datetime64[us]"),
        dropped,
    )


def _codes(values: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.int32]]:
    codes, names = pd.factorize(values, sort=True)
    return np.asarray(names, dtype=object), codes.astype(np.int32)


def histories(*files: EventFile) -> tuple[list[History], NDArray[np.object_]]:
    """Return each file's events in common codes, and the items' ids, shape (n_items,).

    The ids of the histories are the codes themselves: files may name users and items by anything.
    """
    user_names, users = _codes(np.concatenate([one.users for one in files]))
    item_names, items = _codes(np.concatenate([one.items for one in files]))
    found, start = [], 0
    for one in files:
        end = start + len(one.users)
        found.append(
            History(
                np.arange(len(user_names)),
                np.arange(len(item_names)),
                users[start:end],
                items[start:end],
                one.weights,
                one.times,
            )
        )
        start = end
    return found, item_names


def _labels(column: "pd.Series[Any]") -> NDArray[np.int64]:
    return np.asarray(pd.factorize(column.astype("object").where(column.notna(), None))[0], np.int64)


def read_catalog(path: str, item_names: NDArray[np.object_]) -> Catalog:
    """Read what is known of these items: columns item_id and, where they are there, category, brand, price, tags.

    Tags are separated by commas or semicolons (or lists, in parquet). Raises UnreadableFile.
    """
    table = _table(path)
    if "item_id" not in table.columns:
        raise UnreadableFile(f"{path}: lacks the column item_id")
    table = table.assign(item_id=_ids(table["item_id"])).drop_duplicates("item_id").set_index("item_id")
    table = table.reindex(item_names)
    n_items = len(item_names)
    none = Catalog.unknown(n_items)
    prices = none.prices
    if "price" in table:
        prices = np.nan_to_num(pd.to_numeric(table["price"], errors="coerce").to_numpy(np.float64, copy=True))
        prices[~np.isfinite(prices) | (prices < 0)] = 0
    return Catalog(
        categories=_labels(table["category"]) if "category" in table else none.categories,
        brands=_labels(table["brand"]) if "brand" in table else none.brands,
        tags=_tags(table["tags"]) if "tags" in table else none.tags,
        prices=prices,
    )


def _tags(column: "pd.Series[Any]") -> Any:
    rows: list[int] = []
    names: list[str] = []
    for row, value in enumerate(column):
        listed = (
            value
            if isinstance(value, (list, tuple, np.ndarray))
            else (str(value).replace(";", ",").split(",") if isinstance(value, str) else [])
        )
        unique = {str(tag).strip() for tag in listed} - {""}
        rows += [row] * len(unique)
        names += sorted(unique)
    codes, known = pd.factorize(np.asarray(names, dtype=object))
    return sparse.csr_array((np.ones(len(rows)), (rows, codes)), shape=(len(column), max(1, len(known))))
