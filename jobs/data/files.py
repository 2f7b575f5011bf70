"""Reads events and products from files, for evaluation without a running system."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.data.event_files import open_events
from jobs.data.event_rows import EventRules, check
from jobs.data.history import History
from jobs.data.parquet_columns import ids, plain
from shared.clients import sources
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.text import canonical_name
from shared.errors import InvalidRequest
from shared.tables.columns import PRODUCT_COLUMNS, STANDALONE_EVENT_COLUMNS, Columns
from shared.tables.csv_files import TextOptions, read_csv
from shared.tables.json_lines import json_records
from shared.tables.money import split_price
from shared.tables.product_values import IDS, split_list
from shared.tables.products import rename_fields
from shared.tables.reports import LeftOut
from shared.tables.values import MISSING, find_decimals, id_of, number_text

# public histories for research are older than any shop's
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
CHUNK_ROWS: Final = 500_000


class UnreadableFile(ValueError):
    """A file that cannot be read as events or as a catalog; the message gives the reason."""


@dataclass(frozen=True)
class EventFile:
    """The events of a file with their ids as text, before they become codes.

    users, items : shape (n_events,).  weights : above 0.  times : in UTC.
    rows : number of rows in the file.  left_out : the rows that were left out, by reason.
    times_without_zone : number of events whose time has no zone.  ignored : columns that were not read.
    """

    path: str
    users: NDArray[np.object_]
    items: NDArray[np.object_]
    weights: NDArray[np.float32]
    times: NDArray[np.datetime64]
    rows: int
    left_out: LeftOut
    times_without_zone: int = 0
    ignored: list[str] = field(default_factory=list)

    @property
    def dropped(self) -> dict[str, int]:
        """The number of rows that were left out, by reason."""
        return dict(self.left_out.counts)

    def report(self) -> dict[str, Any]:
        """Return what became of the file's rows, as JSON."""
        return {
            "file": self.path,
            "rows": self.rows,
            "used": len(self.users),
            "left_out": self.left_out.summary(),
            "times_without_zone": self.times_without_zone,
            "ignored_columns": self.ignored,
        }


@contextmanager
def _opened(path: str) -> Iterator[io.BufferedIOBase]:
    """Open a local file, decompressed. Raises UnreadableFile, also for errors of the code that reads it."""
    if not Path(path).is_file():
        raise UnreadableFile(f"{path}: there is no such file")
    try:
        with open(path, "rb") as file, sources.unpacked(file, path) as plain:
            yield plain
    except InvalidRequest as error:
        raise UnreadableFile(f"{path}: {error.detail}") from None
    except (pa.ArrowException, UnicodeError, OSError) as error:
        raise UnreadableFile(f"{path}: not readable: {error}") from None


def _format(path: str) -> sources.Format:
    try:
        return sources.format_of(path, None)
    except InvalidRequest:
        # the name does not give the format: read it as text
        return "csv"


def read_events(
    path: str,
    *,
    columns: Columns | None = None,
    options: TextOptions | None = None,
    rules: EventRules | None = None,
    form: sources.Format | None = None,
) -> EventFile:
    """Read events from CSV, JSON lines or Parquet, by the rules of ``load_events``.

    Rows that ``load_events`` refuses, repeated events, and events of types without a weight are left out and counted.
    Raises UnreadableFile.
    """
    rules = replace(rules or EventRules(), earliest=EARLIEST)
    weights = {kind.value: weight for kind, weight in EVENT_WEIGHTS.items()}
    left_out = LeftOut()
    parts: list[pd.DataFrame] = []
    rows = zoneless = 0
    with _opened(path) as file:
        history = open_events(
            file,
            form or _format(path),
            CHUNK_ROWS,
            columns=columns or Columns(STANDALONE_EVENT_COLUMNS),
            options=options,
            fixed={"event_type"} if rules.event_type is not None else set(),
        )
        for chunk in history.chunks:
            checked = check(chunk.rows, chunk.numbers, rules)
            rows += len(chunk)
            zoneless += len(checked.zoneless)
            for number, reason in sorted(chunk.broken + checked.rejected):
                left_out.add(number, reason)
            events = checked.events
            weight = events["event_type"].map(weights)
            for number in events["position"][weight == 0]:
                left_out.add(int(number), "event_type has no weight")
            # a 64-bit hash of the id tells the events of a file apart, in a tenth of the memory
            ids = pd.util.hash_array(events["event_id"].to_numpy(dtype=object))
            events = events.assign(weight=weight, event=ids)[weight > 0]
            parts.append(events[["user_key", "external_id", "weight", "occurred_at", "event", "position"]])
    if parts:
        table = pd.concat(parts)
        # an event counts once, as it does in a shop
        repeated = table["event"].duplicated()
        for number in table["position"][repeated]:
            left_out.add(int(number), "repeats an earlier row")
        table = table[~repeated]
        times = table["occurred_at"].dt.tz_localize(None).to_numpy()
    else:
        table = pd.DataFrame({"user_key": [], "external_id": [], "weight": []})
        times = np.empty(0, "datetime64[us]")
    return EventFile(
        path,
        _texts(table["user_key"]),
        _texts(table["external_id"]),
        table["weight"].to_numpy(np.float32),
        times.astype("datetime64[us]"),
        rows,
        left_out,
        zoneless,
        sorted(history.ignored),
    )


def _texts(column: "pd.Series[Any]") -> NDArray[np.object_]:
    return np.asarray(column.to_numpy(dtype=object))


def _codes(values: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.int32]]:
    codes, names = pd.factorize(values, sort=True)
    return np.asarray(names, dtype=object), codes.astype(np.int32)


def histories(*files: EventFile) -> tuple[list[History], NDArray[np.object_]]:
    """Return each file's events in common codes, and the items' ids, shape (n_items,).

    The ids in the histories are the codes themselves, since ids in files may be any text.
    """
    user_names, users = _codes(np.concatenate([file.users for file in files]))
    item_names, items = _codes(np.concatenate([file.items for file in files]))
    results, start = [], 0
    for file in files:
        end = start + len(file.users)
        results.append(
            History(
                np.arange(len(user_names)),
                np.arange(len(item_names)),
                users[start:end],
                items[start:end],
                file.weights,
                file.times,
            )
        )
        start = end
    return results, item_names


@dataclass(frozen=True)
class CatalogFile:
    """The catalog of a history's items, read from a file.

    rows : number of rows in the file.  matched : number of the history's items that have a row.
    left_out : rows that are not used, by reason.  unread : prices and groups of used rows that cannot be read.
    """

    path: str
    catalog: Catalog
    rows: int
    matched: int
    left_out: LeftOut
    unread: LeftOut
    ignored: list[str]

    def report(self) -> dict[str, Any]:
        """Return what became of the file's rows, as JSON."""
        return {
            "file": self.path,
            "rows": self.rows,
            "matched": self.matched,
            "of": len(self.catalog.categories),
            "left_out": self.left_out.summary(),
            "unread": self.unread.summary(),
            "ignored_columns": self.ignored,
        }


Record = tuple[int, dict[str, Any] | str]
_ITEM_FIELDS: Final = ("category", "brand", "price", "tags", "item_group_id")


def _csv_items(file: io.BufferedIOBase, columns: Columns, options: TextOptions, ignored: set[str]) -> Iterator[Record]:
    table = read_csv(sources.blocks(file), options, columns.is_known)
    if table is None:
        raise InvalidRequest("The file is empty: it has no CSV header.")
    resolved = columns.resolve(table.header)
    _need_ids(resolved.positions, table.header)
    ignored.update(resolved.unknown, resolved.unused)
    decimals = table.decimals({name: place for name, place in resolved.positions.items() if name == "price"})
    for row, cells in table.records:
        if isinstance(cells, str):
            yield row, cells
        else:
            values: dict[str, Any] = {name: cells[place].strip() for name, place in resolved.positions.items()}
            if price := values.get("price"):
                number = number_text(split_price(price)[0], decimals.get("price"))
                values["price"] = _UnreadPrice(price) if number is None else number
            yield row, values


def _json_items(file: io.BufferedIOBase, columns: Columns, options: TextOptions, ignored: set[str]) -> Iterator[Record]:
    known: dict[tuple[str, ...], Any] = {}
    for row, values in json_records(sources.blocks(file), options.encoding, columns):
        yield row, values if isinstance(values, str) else rename_fields(values, columns, known, ignored)


def _parquet_items(file: io.BufferedIOBase, columns: Columns, ignored: set[str]) -> Iterator[Record]:
    table = pq.ParquetFile(sources.seekable(file))
    names = table.schema_arrow.names
    resolved = columns.resolve(names)
    _need_ids(resolved.positions, names)
    ignored.update(resolved.unknown, resolved.unused)
    row = 0
    fields = {name: names[place] for name, place in resolved.positions.items()}
    for batch in table.iter_batches(batch_size=CHUNK_ROWS, columns=list(fields.values())):
        arrays = [(ids if name in IDS else plain)(batch.column(column)) for name, column in fields.items()]
        for values in pa.RecordBatch.from_arrays(arrays, names=list(fields)).to_pylist():
            row += 1
            # NaN is a missing value
            yield row, {name: value if value == value else None for name, value in values.items()}


def _need_ids(positions: Any, names: list[str]) -> None:
    if "external_id" not in positions:
        raise InvalidRequest(
            f"The file has no column item_id; it has: {', '.join(names)[:500]}. Name yours with external_id:NAME."
        )


class _UnreadPrice(str):
    """The text of a price that is not a number in the file's format of numbers."""

    __slots__ = ()


def _price(value: Any) -> float | None:
    """Return a price; 0 if there is none, None if it is not a number."""
    if value is None or (isinstance(value, str) and (not value.strip() or value.strip() in MISSING)):
        return 0.0
    if isinstance(value, str):
        amount = split_price(value.strip())[0]
        number = number_text(amount, find_decimals({"price": [amount]})["price"])
        value = None if isinstance(value, _UnreadPrice) else number
    try:
        price = float(value)
    except (TypeError, ValueError):
        return None
    return price if 0 <= price < float("inf") else None


def read_catalog(
    path: str,
    item_names: NDArray[np.object_],
    *,
    columns: Columns | None = None,
    options: TextOptions | None = None,
) -> CatalogFile:
    """Read the catalog of these items: an id and, if present, category, brand, price, tags and group of variants.

    Tags are separated by ``|``, commas or semicolons, or are a list. If an item has several rows, the last one counts,
    as in an import. Raises UnreadableFile.
    """
    columns, options = columns or Columns(PRODUCT_COLUMNS), options or TextOptions()
    form = _format(path)
    left_out, ignored, rows = LeftOut(), set[str](), 0
    known: dict[str, tuple[int, dict[str, Any]]] = {}
    wanted = set(item_names.tolist())
    if form == "xml":
        raise UnreadableFile(f"{path}: XML is read by imports only; give the items as CSV, JSON lines or Parquet")
    with _opened(path) as file:
        records = (
            _parquet_items(file, columns, ignored)
            if form == "parquet"
            else (_csv_items if form == "csv" else _json_items)(file, columns, options, ignored)
        )
        for row, values in records:
            if isinstance(values, dict) and not any(value not in (None, "", []) for value in values.values()):
                continue
            rows += 1
            if isinstance(values, str):
                left_out.add(row, values)
                continue
            try:
                item = id_of(values.get("external_id"))
            except ValueError as error:
                left_out.add(row, f"external_id {error}")
                continue
            # the form in which the reader of events returns it
            item = None if item is None else canonical_name(item)
            if item is None:
                left_out.add(row, "no external_id")
            elif item not in wanted:
                left_out.add(row, "no event has this item")
            else:
                if item in known:
                    left_out.add(known[item][0], "a later row has the same external_id")
                known[item] = row, values
    unread = LeftOut()
    for row, values in sorted(known.values(), key=itemgetter(0)):
        for name in ("category", "brand", "item_group_id"):
            if isinstance(values.get(name), str) and values[name].strip() in MISSING:
                values[name] = None
        price = _price(values.get("price"))
        if price is None:
            unread.add(row, f"price is not a number that can be read: {values['price']}")
        values["price"] = price
        try:
            values["item_group_id"] = id_of(values.get("item_group_id"))
        except ValueError as error:
            values["item_group_id"] = None
            unread.add(row, f"item_group_id {error}")
    facts = [known.get(name, (0, {}))[1] for name in item_names.tolist()]
    present = {name for values in facts for name in _ITEM_FIELDS if values.get(name) is not None}
    nothing = Catalog.unknown(len(item_names))
    catalog = Catalog(
        categories=_labels(facts, "category") if "category" in present else nothing.categories,
        brands=_labels(facts, "brand") if "brand" in present else nothing.brands,
        tags=_tags([values.get("tags") for values in facts]) if "tags" in present else nothing.tags,
        prices=np.asarray([values.get("price") or 0.0 for values in facts], np.float64),
        groups=_labels(facts, "item_group_id") if "item_group_id" in present else None,
    )
    return CatalogFile(path, catalog, rows, len(known), left_out, unread, sorted(ignored))


def _labels(facts: list[dict[str, Any]], name: str) -> NDArray[np.int64]:
    labels = [None if values.get(name) in (None, "") else canonical_name(str(values[name])) for values in facts]
    return np.asarray(pd.factorize(np.asarray(labels, dtype=object))[0], np.int64)


def _split_tags(value: Any) -> set[str]:
    if isinstance(value, str):
        # a list, or separated as in an import, or by the separators of research data sets
        is_usual = "|" in value or value.startswith('["')
        listed: list[Any] = split_list(value) if is_usual else value.replace(";", ",").split(",")
    else:
        listed = value if isinstance(value, list) else []
    return {canonical_name(str(tag).strip()) for tag in listed} - {""}


def _tags(values: list[Any]) -> Any:
    rows: list[int] = []
    names: list[str] = []
    for row, value in enumerate(values):
        unique = _split_tags(value)
        rows += [row] * len(unique)
        names += sorted(unique)
    codes, known = pd.factorize(np.asarray(names, dtype=object))
    return sparse.csr_array((np.ones(len(rows)), (rows, codes)), shape=(len(values), max(1, len(known))))
