"""What makes a history's row an event: the rules of shared/domain/events.py, for whole columns at once. Needs pandas.

Cells arrive as text (None where empty); what is wrong with a row is one reason, the first of the checks that it fails.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

from shared.domain.events import (
    EARLIEST,
    MAX_CLOCK_SKEW,
    MAX_EVENT_QUANTITY,
    EventType,
    event_key,
    small,
    storable_json,
)

TimestampUnit = Literal["iso", "s", "ms"]

REQUIRED: Final = ("user_id", "event_type", "timestamp")
OPTIONAL: Final = ("product_id", "external_id", "session_id", "quantity", "metadata", "event_id")
COLUMNS: Final = REQUIRED + OPTIONAL
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_ZONED: Final = r"(?i)\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)"
# splits fields where text cannot
_FIELD: Final = "\x1f"


@dataclass(frozen=True)
class Checked:
    """``events``: the good rows, in the columns of ``history.COLUMNS``; ``rejected``: (row, reason) of the others."""

    events: pd.DataFrame
    rejected: list[tuple[int, str]]


def _instants(cells: "pd.Series[Any]", unit: TimestampUnit) -> "pd.Series[Any]":
    """Return the times in UTC, NaT where a cell is none."""
    times: pd.Series[Any]
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        times = cells.dt.tz_convert("UTC").dt.as_unit("us")
        return times
    if unit == "iso":
        zoned = cells.where(cells.str.fullmatch(_ZONED, na=False))
        return pd.to_datetime(zoned, format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
    numbers: pd.Series[float] = pd.to_numeric(cells, errors="coerce").astype("float64")
    # beyond this is no year that any clock shows; before it, int64 holds the microseconds
    sensible = numbers.where(numbers.abs() < (1e11 if unit == "s" else 1e14))
    micros = (sensible * (1e6 if unit == "s" else 1e3)).round()
    times = pd.to_datetime(micros, unit="us", utc=True, errors="coerce").dt.as_unit("us")
    return times


def _text_problem(cells: "pd.Series[str]", most: int) -> "pd.Series[bool]":
    return cells.notna() & ((cells.str.len() > most) | cells.str.contains(_CONTROL, na=False))


def _metadata(text: str) -> tuple[int | None, str | None]:
    """Return the quantity that metadata names, and what is wrong with the metadata."""
    try:
        value = orjson.loads(text)
        if not isinstance(value, dict):
            return None, "metadata is not a JSON object"
        small(storable_json(value))
    except orjson.JSONDecodeError:
        return None, "metadata is not valid JSON"
    except ValueError as error:
        return None, f"metadata {error}"
    quantity = value.get("quantity")
    return (quantity if isinstance(quantity, int) and not isinstance(quantity, bool) and quantity >= 1 else None), None


def _derived(events: pd.DataFrame) -> list[str]:
    """Return the id of each row without one: made from what the row says, so that the same row is the same event.

    Version 8 of RFC 9562, its first 48 bits the time: a history's ids arrive in order.
    """
    millis = events["occurred_at"].astype("int64") // 1000
    micros = events["occurred_at"].astype("int64").astype(str)
    parts = [
        events[name].fillna("").astype(str)
        for name in (
            "user_key",
            "external_id",
            "product_text",
            "event_type",
            "given_quantity",
            "session_id",
            "metadata",
        )
    ]
    # as one frame: pandas joins a list of columns too, which its types do not know
    content = parts[0].str.cat(pd.concat([*parts[1:], micros], axis=1), sep=_FIELD)
    ids = []
    for time, text in zip(millis, content, strict=True):
        digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=10).digest(), "big")
        value = (time & (1 << 48) - 1) << 80 | digest
        ids.append(f"{value & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62:032x}")
    return ids


def check(
    rows: pd.DataFrame, numbers: npt.NDArray[np.int64], unit: TimestampUnit, now: datetime | None = None
) -> Checked:
    """Check rows of text cells (columns out of COLUMNS) that have these row numbers.

    ``timestamp`` may also be of a zoned datetime type. Linear in the rows, about 5 µs each.
    """
    rows = rows.reset_index(drop=True)
    missing = pd.DataFrame({name: pd.Series([None] * len(rows), dtype="str") for name in COLUMNS if name not in rows})
    rows = pd.concat([rows, missing], axis=1)
    product = pd.to_numeric(
        rows["product_id"].where(rows["product_id"].str.fullmatch(r"[0-9]{1,16}", na=False)), errors="coerce"
    )
    product = product.where((product >= 1) & (product <= 2**53 - 1))
    quantity = pd.to_numeric(
        rows["quantity"].where(rows["quantity"].str.fullmatch(r"[0-9]{1,15}(?:\.0*)?", na=False)), errors="coerce"
    )
    at = _instants(rows["timestamp"], unit)
    latest = (now or datetime.now(UTC)) + MAX_CLOCK_SKEW
    texts = rows["metadata"].dropna()
    stated = dict(zip(texts.index.tolist(), map(_metadata, texts), strict=True))
    reason = pd.Series([None] * len(rows), dtype=object)

    def refuse(wrong: "pd.Series[bool]", why: str) -> None:
        reason[wrong & reason.isna()] = why

    refuse(rows["user_id"].isna(), "no user_id")
    refuse(_text_problem(rows["user_id"], 255), "user_id is longer than 255 or has control characters")
    refuse(rows["event_type"].isna(), "no event_type")
    refuse(~rows["event_type"].isin([one.value for one in EventType]), "unknown event_type")
    refuse(rows["timestamp"].isna(), "no timestamp")
    refuse(
        at.isna(),
        "timestamp is no ISO 8601 time with a zone"
        if unit == "iso"
        else "timestamp is not a number of " + ("seconds" if unit == "s" else "milliseconds"),
    )
    refuse(at < EARLIEST, "timestamp is before 2000")
    refuse(at > latest, "timestamp is in the future")
    refuse(rows["product_id"].notna() & product.isna(), "product_id is not a product's number")
    refuse(_text_problem(rows["external_id"], 255), "external_id is longer than 255 or has control characters")
    refuse(
        rows["product_id"].isna() & rows["external_id"].isna() & (rows["event_type"] != EventType.SEARCH.value),
        "no product",
    )
    refuse(rows["quantity"].notna() & ~(quantity >= 1), "quantity is not a whole number of at least 1")
    refuse(_text_problem(rows["session_id"], 255), "session_id is longer than 255 or has control characters")
    refuse(_text_problem(rows["event_id"], 128), "event_id is longer than 128 or has control characters")
    for index, (_quantity, why) in stated.items():
        if why is not None and reason[index] is None:
            reason[index] = why

    good = reason.isna()
    named = pd.Series({index: count for index, (count, _why) in stated.items()}, dtype="float64").reindex(rows.index)
    counted = quantity.fillna(named).fillna(1).clip(upper=MAX_EVENT_QUANTITY).astype("int64")
    events = pd.DataFrame(
        {
            "position": numbers,
            "user_key": rows["user_id"],
            "external_id": rows["external_id"],
            # an id of the shop's own wins
            "product_id": product.where(rows["external_id"].isna()).astype("Int64"),
            "product_text": rows["product_id"],
            "event_type": rows["event_type"],
            "quantity": counted.where(rows["event_type"] == EventType.PURCHASE.value, 1).astype("int32"),
            "given_quantity": rows["quantity"],
            "occurred_at": at,
            "session_id": rows["session_id"],
            "metadata": rows["metadata"],
            "event_id": rows["event_id"],
        }
    )[good]
    given = events["event_id"].notna()
    events.loc[given, "event_id"] = [event_key(text).hex for text in events.loc[given, "event_id"]]
    events.loc[~given, "event_id"] = _derived(events[~given])
    wrong = reason[~good]
    return Checked(
        events.drop(columns=["product_text", "given_quantity"]),
        list(zip(numbers[wrong.index].tolist(), wrong.tolist(), strict=True)),
    )
