"""Checks rows of a history by the rules of shared/domain/events.py and shared/tables, one column at a time.

Cells arrive as text, None where empty. A bad row has one reason: the first check that it fails. Needs pandas.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

from shared.domain.events import (
    EARLIEST,
    MAX_CLOCK_SKEW,
    WITH_QUANTITY,
    WITHOUT_PRODUCT,
    EventType,
    event_key,
    small,
)
from shared.domain.json_values import storable_json
from shared.domain.quantities import MAX_EVENT_QUANTITY, event_quantity
from shared.domain.shared_ids import is_shared
from shared.tables.times import EPOCH_NUMBER, EPOCH_UNITS, LOCAL_TIME, ZONED_TIME, TimestampUnit
from shared.tables.values import MISSING, SHORTENED, SHORTENED_ID, event_type_of, id_text

REQUIRED: Final = ("user_id", "event_type", "timestamp")
OPTIONAL: Final = ("product_id", "external_id", "session_id", "quantity", "metadata", "event_id")
COLUMNS: Final = REQUIRED + OPTIONAL
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
# the notations that pandas reads; others are first converted to these
_PLAIN_ZONED: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)"
_PLAIN_LOCAL: Final = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?"
_ZONED_RANGE: Final = (pd.Timestamp("0002-01-01"), pd.Timestamp("9998-12-31"))
# separates fields: a character that no text contains
_FIELD: Final = "\x1f"
_NO_TIME: Final[dict[str, str]] = {
    "auto": "timestamp is neither an ISO 8601 time nor seconds, milliseconds or microseconds since 1970",
    "iso": "timestamp is not an ISO 8601 time, with or without a zone",
    "s": "timestamp is not a number of seconds",
    "ms": "timestamp is not a number of milliseconds",
    "us": "timestamp is not a number of microseconds",
}


@dataclass(frozen=True)
class EventRules:
    """Options for the rows of a history.

    unit : how times are written; "auto" accepts ISO 8601 and epoch numbers, whose unit is inferred from their size.
    zone : time zone of times without one.
    event_types : names of event types in addition to the usual ones, as ``name_key`` returns them.
    event_type : type of all rows, for a file without such a column.
    earliest : events before it are refused.
    """

    unit: TimestampUnit = "auto"
    zone: tzinfo = UTC
    event_types: Mapping[str, EventType] = field(default_factory=dict)
    event_type: EventType | None = None
    earliest: datetime = EARLIEST


@dataclass(frozen=True)
class Checked:
    """The rows of a chunk after the checks.

    events : the good rows, with the columns of ``bulk_loading.COLUMNS``.
    rejected : (row number, reason) of the other rows.
    zoneless : the numbers of the good rows whose times have no time zone.
    """

    events: pd.DataFrame
    rejected: list[tuple[int, str]]
    zoneless: npt.NDArray[np.int64]


def _normal(cells: "pd.Series[Any]", plain: "pd.Series[bool]") -> "pd.Series[Any]":
    """Rewrite times such as ``10:00:00 UTC``, ``10:00:00 +0100`` or ``10:00:00,5`` in a notation that pandas reads."""
    odd = cells.notna() & ~plain
    if odd.any():
        written = cells[odd].str.upper().str.replace(r" ?(?:UTC|GMT)$", "Z", regex=True)
        written = written.str.replace(r" (?=[Z+-])", "", regex=True).str.replace(",", ".", regex=False)
        cells = cells.copy()
        cells[odd] = written
    return cells


def _localized(times: "pd.Series[Any]", zone: tzinfo) -> "pd.Series[Any]":
    """Return local times of a zone in UTC. A time that occurs twice is the first; a skipped one moves to the next."""
    # near the ends of the calendar, conversion may leave it; such times are refused anyway
    near = times.where(times.between(*_ZONED_RANGE))
    localized = near.dt.tz_localize(zone, ambiguous=np.ones(len(times), bool), nonexistent="shift_forward")
    instants: pd.Series[Any] = localized.dt.tz_convert("UTC").dt.as_unit("us")
    return instants.where(near.notna(), times.dt.tz_localize("UTC"))


def _instants(cells: "pd.Series[Any]", rules: EventRules) -> tuple["pd.Series[Any]", "pd.Series[bool]"]:
    """Return the times in UTC, NaT where a cell is not a time, and a mask of the cells without a time zone."""
    nowhere = pd.Series(False, index=cells.index)
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        zoned_times: pd.Series[Any] = cells.dt.tz_convert("UTC").dt.as_unit("us")
        return zoned_times, nowhere
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return _localized(cells.dt.as_unit("us"), rules.zone), cells.notna()
    times: pd.Series[Any] = pd.Series(pd.NaT, index=cells.index, dtype="datetime64[us, UTC]")
    zoneless = nowhere
    if rules.unit in ("auto", "iso"):
        plain = cells.str.fullmatch(_PLAIN_ZONED, na=False)
        zoned = cells if plain.all() else cells.where(plain | cells.str.fullmatch(ZONED_TIME, na=False))
        normal = cells if plain.all() else _normal(zoned, plain)
        times = pd.to_datetime(normal, format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
        if plain.all() and times.notna().all():
            return times, zoneless
        local = cells.str.fullmatch(LOCAL_TIME, na=False) & zoned.isna()
        if local.any():
            plain = cells[local].str.fullmatch(_PLAIN_LOCAL)
            read = pd.to_datetime(_normal(cells[local], plain), format="ISO8601", errors="coerce")
            times[local] = _localized(read.dt.as_unit("us"), rules.zone)
            zoneless = local
    if rules.unit != "iso":
        numbers = cells.where(cells.str.fullmatch(EPOCH_NUMBER, na=False) & times.isna())
        if numbers.notna().any():
            times = times.where(numbers.isna(), _epochs(numbers, rules.unit))
    return times, zoneless


def _epochs(cells: "pd.Series[Any]", unit: TimestampUnit) -> "pd.Series[Any]":
    """Return epoch numbers as times in UTC, NaT where a number is too large for its unit."""
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    micros = pd.Series(np.nan, index=cells.index)
    for name, (limit, factor) in EPOCH_UNITS.items():
        if unit in ("auto", name):
            micros = micros.where(micros.notna(), (numbers.where(numbers < limit) * factor).round())
    times: pd.Series[Any] = pd.to_datetime(micros, unit="us", utc=True, errors="coerce").dt.as_unit("us")
    return times


def _event_types(cells: "pd.Series[Any]", mapping: Mapping[str, EventType]) -> "pd.Series[Any]":
    """Return Aisle's names of the event types, None where a name is unknown."""
    names = {name: event_type_of(name, mapping) for name in cells.dropna().unique()}
    return cells.map({name: kind.value for name, kind in names.items() if kind is not None}).astype("str")


def _plain_id(cells: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return ids as ``id_text`` does, None where one is missing."""
    odd = cells.isin(MISSING) | cells.str.contains(r'\.0+$|,0$|^="', na=False)
    if odd.any():
        cells = cells.copy()
        cells[odd] = [id_text(text) or None for text in cells[odd]]
    return cells


def _text_problem(cells: "pd.Series[str]", most: int) -> "pd.Series[bool]":
    return cells.notna() & ((cells.str.len() > most) | cells.str.contains(_CONTROL, na=False))


def _metadata(text: str, with_quantity: bool) -> tuple[int | None, str | None]:
    """Return the quantity given in the metadata, and what is wrong with the metadata; None where there is neither.

    with_quantity : whether ``quantity`` in the metadata is the event's number of pieces.
    """
    try:
        value = orjson.loads(text)
        if not isinstance(value, dict):
            return None, "metadata is not a JSON object"
        small(storable_json(value))
    except orjson.JSONDecodeError:
        return None, "metadata is not valid JSON"
    except ValueError as error:
        return None, f"metadata {error}"
    quantity = value.get("quantity") if with_quantity else None
    try:
        return (None if quantity is None else event_quantity(quantity)), None
    except ValueError as error:
        return None, f"metadata.quantity {error}"


def _derived(events: pd.DataFrame) -> list[str]:
    """Return ids for rows without one, derived from all values of the row, so that equal rows are one event.

    They are UUIDs of version 8 (RFC 9562) whose first 48 bits are the time, so that a history's ids ascend with it.
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
    # as a frame: pandas also accepts a list of columns, but its type stubs do not
    content = parts[0].str.cat(pd.concat([*parts[1:], micros], axis=1), sep=_FIELD)
    ids = []
    for time, text in zip(millis, content, strict=True):
        digest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=10).digest(), "big")
        value = (time & (1 << 48) - 1) << 80 | digest
        ids.append(f"{value & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62:032x}")
    return ids


def check(
    rows: pd.DataFrame, numbers: npt.NDArray[np.int64], rules: EventRules | None = None, now: datetime | None = None
) -> Checked:
    """Check rows of text cells, whose columns are some of COLUMNS, with these row numbers.

    ``timestamp`` may also be of a datetime type. Takes about 5 µs per row.
    """
    rules = rules or EventRules()
    rows = rows.reset_index(drop=True)
    missing = pd.DataFrame({name: pd.Series([None] * len(rows), dtype="str") for name in COLUMNS if name not in rows})
    rows = pd.concat([rows, missing], axis=1)
    for name in ("user_id", "external_id", "product_id", "session_id"):
        rows[name] = _plain_id(rows[name])
    # external ids are stored in this form; ids of users, sessions and events are unchanged
    rows["external_id"] = rows["external_id"].str.normalize("NFC")
    # markers of missing values are not ids: they would make all such rows one event
    rows["event_id"] = rows["event_id"].mask(rows["event_id"].isin(MISSING))
    if rules.event_type is not None:
        rows["event_type"] = rows["event_type"].fillna(rules.event_type.value)
    kind = _event_types(rows["event_type"], rules.event_types)
    product = pd.to_numeric(
        rows["product_id"].where(rows["product_id"].str.fullmatch(r"[0-9]{1,16}", na=False)), errors="coerce"
    )
    product = product.where((product >= 1) & (product <= 2**53 - 1))
    whole = rows["quantity"].str.fullmatch(r"\+?[0-9]{1,15}(?:\.0*)?", na=False)
    quantity = pd.to_numeric(rows["quantity"].where(whole), errors="coerce")
    # 3.0 means 3
    rows["quantity"] = rows["quantity"].str.replace(r"\.0*$", "", regex=True).where(whole, rows["quantity"])
    at, zoneless = _instants(rows["timestamp"], rules)
    latest = (now or datetime.now(UTC)) + MAX_CLOCK_SKEW
    texts = rows["metadata"].dropna()
    about_pieces = kind[texts.index].isin([event_type.value for event_type in WITH_QUANTITY])
    stated = dict(zip(texts.index.tolist(), map(_metadata, texts, about_pieces), strict=True))
    reason = pd.Series([None] * len(rows), dtype=object)

    def refuse(wrong: "pd.Series[bool]", why: str, values: "pd.Series[Any] | None" = None) -> None:
        bad = wrong & reason.isna()
        if values is None or not bad.any():
            reason[bad] = why
        else:
            reason[bad] = [f"{why}: {str(value)[:100]}" for value in values[bad]]

    refuse(rows["user_id"].isna(), "no user_id")
    refuse(_text_problem(rows["user_id"], 255), "user_id is longer than 255 or has control characters")
    # check distinct ids only: there are fewer than rows
    shared = [user_id for user_id in rows["user_id"].dropna().unique() if is_shared(user_id)]
    refuse(rows["user_id"].isin(shared), "user_id is not the id of a single user", rows["user_id"])
    refuse(rows["user_id"].str.fullmatch(SHORTENED, na=False), f"user_id {SHORTENED_ID}", rows["user_id"])
    refuse(rows["event_type"].isna(), "no event_type")
    refuse(kind.isna(), "unknown event_type", rows["event_type"])
    refuse(rows["timestamp"].isna(), "no timestamp")
    refuse(at.isna(), _NO_TIME[rules.unit], rows["timestamp"])
    refuse(at < rules.earliest, f"timestamp is before {rules.earliest.year}")
    refuse(at > latest, "timestamp is in the future", rows["timestamp"])
    refuse(
        rows["product_id"].notna() & product.isna(),
        "product_id is not an id of Aisle's; read the shop's own ids with columns=external_id",
        rows["product_id"],
    )
    refuse(_text_problem(rows["external_id"], 255), "external_id is longer than 255 or has control characters")
    refuse(rows["external_id"].str.fullmatch(SHORTENED, na=False), f"external_id {SHORTENED_ID}", rows["external_id"])
    refuse(
        kind == EventType.REFUND.value,
        "a history cannot contain refunds; report this one at POST /events after loading",
    )
    needs_product = ~kind.isin([event_type.value for event_type in WITHOUT_PRODUCT])
    refuse(rows["product_id"].isna() & rows["external_id"].isna() & needs_product, "no product")
    refuse(
        rows["quantity"].notna() & ~(quantity >= 1), "quantity is not a whole number of at least 1", rows["quantity"]
    )
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
            # the shop's own id takes precedence
            "product_id": product.where(rows["external_id"].isna()).astype("Int64"),
            "product_text": rows["product_id"],
            "event_type": kind,
            "quantity": counted.where(kind == EventType.PURCHASE.value, 1).astype("int32"),
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
        numbers[(good & zoneless).to_numpy()],
    )
