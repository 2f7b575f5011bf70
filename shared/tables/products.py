"""Catalogs (CSV, JSON lines, XML, JSON-LD) as rows: products, or what is wrong with each row.

A row's number is its line in the file, the first being 1 (a CSV's header); a record over several lines goes by its
first. In a JSON-LD document rows are its products.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final, Literal

from shared.domain.catalog import ProductWrite
from shared.errors import InvalidRequest
from shared.tables import json_ld, presets, xml_feeds
from shared.tables.columns import Columns, Resolved
from shared.tables.csv_files import TextOptions, read_csv
from shared.tables.json_lines import json_records
from shared.tables.markup import plain_text
from shared.tables.money import split_price
from shared.tables.offers import SALES
from shared.tables.presets import AISLE, GOOGLE, JSON_LD, Preset, Reading
from shared.tables.product_values import (
    NUMBERS,
    Decimals,
    Row,
    RowError,
    finished,
    from_fields,
    from_values,
    validated,
)
from shared.tables.reports import LeftOut
from shared.tables.shop_systems import NoProduct
from shared.tables.text_files import refuse_html
from shared.tables.values import find_decimals, name_key

REQUIRED: Final = ("name", "price")
# Columns of an exported shop's products, as name_key() writes them: answers have them, and no import writes them.
READ_ONLY: Final = frozenset({"createdat", "updatedat", "views", "purchasecount"})
TextFormat = Literal["csv", "jsonl", "xml"]
# rows of an XML feed that the decimal marks are found in
SAMPLE_ROWS: Final = 500
# rows of a preview
PREVIEW_ROWS: Final = 10


@dataclass
class ProductRows:
    """A catalog as it is read: iterate over it for each row's product, or the errors of the row.

    preset : by whose rules the file is read. columns : the file's column of each field.
    ignored : the columns that were not read, by name, complete when the rows are.
    skipped : rows that are no products by themselves, by reason, complete when the rows are.
    read_as : how a CSV was read: separator, encoding and decimal mark.
    """

    rows: Iterator[Row | list[RowError]] = field(default_factory=lambda: iter(()))
    preset: Preset = AISLE
    columns: dict[str, str] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)
    skipped: LeftOut = field(default_factory=LeftOut)
    read_as: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Row | list[RowError]]:
        return self.rows


def check_header(preset: Preset, columns: Columns, resolved: Resolved, names: Iterable[str]) -> None:
    """Raise InvalidRequest for columns that are unknown or missing: then no row could be right.

    With a mapping, or in the export of a shop system, unknown columns are ignored; in an export of Aisle the columns
    that no import writes.
    """
    is_strict = preset is AISLE and not columns.mapping
    unknown = [name for name in resolved.unknown if name_key(name) not in READ_ONLY]
    missing = [name for name in REQUIRED if name not in resolved.positions]
    if (unknown and is_strict) or missing:
        # a header that is not split is a single unknown column
        wrong = (
            f"has the unknown column {unknown[0][:100]!r}" if unknown and is_strict else f"has no column {missing[0]!r}"
        )
        raise InvalidRequest(
            f"The file's header {wrong}. Its columns are: {', '.join(names)[:500]}. It was read by the preset "
            f"{preset.name}, which knows: {', '.join(columns.fields)}. Name yours with columns=FIELD:NAME, or choose "
            f"another preset ({', '.join(presets.PRESETS)}). If the columns are not split, give separator."
        )


def _shaped(
    records: Iterable[tuple[int, dict[str, str] | str]], decimals: Decimals, catalog: ProductRows
) -> Iterator[Row | list[RowError]]:
    """Yield the products of rows of texts by field; rows that are no product are counted in ``catalog``."""
    now = datetime.now(UTC)
    shape = catalog.preset.shaper(frozenset(catalog.columns))
    is_own = catalog.preset is AISLE
    states_sales = catalog.preset.states_sales or not catalog.columns.keys().isdisjoint(SALES)
    for row, texts in records:
        if isinstance(texts, str):
            yield [RowError(row, "", texts)]
            continue
        given = {name: text.strip() for name, text in texts.items() if text and not text.isspace()}
        fields = shape(given)
        if isinstance(fields, NoProduct):
            catalog.skipped.add(row, fields.reason)
            continue
        if not is_own and "name" in fields:
            # systems that write HTML write its entities into names too
            fields["name"] = " ".join(plain_text(fields["name"]).split())
        yield from_fields(row, fields, now, decimals, states_sales=states_sales)


def _read_csv(blocks: Iterable[bytes], reading: Reading, options: TextOptions, catalog: ProductRows) -> None:
    mapped = reading.columns(reading.preset or AISLE)
    table = read_csv(blocks, options, lambda name: presets.is_known(name) or mapped.is_known(name))
    if table is None:
        return
    catalog.preset = preset = reading.preset or presets.detect(table.header)
    columns = reading.columns(preset)
    resolved = columns.resolve(table.header)
    check_header(preset, columns, resolved, table.header)
    catalog.columns.update({name: table.header[place] for name, place in resolved.positions.items()})
    catalog.ignored.update(resolved.unknown, resolved.unused)
    decimals = table.decimals({name: place for name, place in resolved.positions.items() if name in NUMBERS})
    catalog.read_as.update(table.description(decimals))
    positions = list(resolved.positions.items())
    catalog.rows = _shaped(
        (
            (row, cells if isinstance(cells, str) else {name: cells[place] for name, place in positions})
            for row, cells in table.records
        ),
        decimals,
        catalog,
    )


def rename_fields(
    values: Mapping[str, Any],
    columns: Columns,
    known: dict[tuple[str, ...], Resolved],
    ignored: set[str],
    *,
    found: dict[str, str] | None = None,
    is_strict: bool = True,
) -> dict[str, Any] | str:
    """Return a row's values by field, or why its names are no good. ``known`` remembers sets of names across rows.

    ``found`` gets the name of each field. Unknown names are ignored with a mapping, and where names are not
    ``is_strict``; else they are errors of the row.
    """
    names = tuple(values)
    resolved = known.get(names)
    if resolved is None:
        try:
            resolved = columns.resolve(names, every_mapped=False)
        except InvalidRequest as error:
            return error.detail
        if len(known) < 1000:
            known[names] = resolved
        if found is not None:
            found.update({name: names[place] for name, place in resolved.positions.items()})
    ignored.update(resolved.unused)
    listed = list(values.values())
    fields = {name: listed[place] for name, place in resolved.positions.items()}
    if columns.mapping or not is_strict:
        ignored.update(resolved.unknown)
        return fields
    # without a mapping a name that is not known is an error of its row
    return {**fields, **{name: values[name] for name in resolved.unknown}}


def _read_json_lines(blocks: Iterable[bytes], reading: Reading, options: TextOptions, catalog: ProductRows) -> None:
    known: dict[tuple[str, ...], Resolved] = {}
    catalog.preset = preset = reading.preset or AISLE
    columns = reading.columns(preset)
    records = json_records(blocks, options.encoding, columns)

    def renamed() -> Iterator[tuple[int, dict[str, Any] | str]]:
        for row, values in records:
            fields = (
                values
                if isinstance(values, str)
                else rename_fields(
                    values, columns, known, catalog.ignored, found=catalog.columns, is_strict=preset is AISLE
                )
            )
            yield row, fields

    def own() -> Iterator[Row | list[RowError]]:
        now = datetime.now(UTC)
        for row, fields in renamed():
            if isinstance(fields, str):
                yield validated(row, fields)
            else:
                yield finished(row, from_values(fields), now)

    def foreign() -> Iterator[tuple[int, dict[str, str] | str]]:
        for row, fields in renamed():
            yield (
                row,
                fields
                if isinstance(fields, str)
                else {name: value if isinstance(value, str) else str(value) for name, value in fields.items() if value},
            )

    catalog.rows = own() if preset is AISLE else _shaped(foreign(), {}, catalog)


def _guessed(records: Iterable[tuple[int, dict[str, Any] | str]], options: TextOptions) -> tuple[Decimals, Any]:
    """Return the decimal marks of a feed's numbers, by its first rows, and all of its rows."""
    source = iter(records)
    sample = list(islice(source, SAMPLE_ROWS))
    texts = {
        name: [
            split_price(row[name])[0]
            for _row, row in sample
            if isinstance(row, dict) and isinstance(row.get(name), str)
        ]
        for name in NUMBERS
    }
    decimals = dict.fromkeys(NUMBERS, options.decimal) if options.decimal else find_decimals(texts)
    return decimals, chain(sample, source)


def _read_xml(blocks: Iterable[bytes], reading: Reading, options: TextOptions, catalog: ProductRows) -> None:
    catalog.preset = reading.preset or GOOGLE
    columns = reading.columns(catalog.preset)
    known: dict[tuple[str, ...], Resolved] = {}

    def fields() -> Iterator[tuple[int, dict[str, Any] | str]]:
        for row, item in xml_feeds.xml_items(blocks, options.encoding):
            if isinstance(item, str):
                yield row, item
                continue
            # what Atom calls a description
            if "description" not in item and (text := item.pop("summary", None) or item.pop("content", None)):
                item["description"] = text
            yield row, rename_fields(item, columns, known, catalog.ignored, found=catalog.columns, is_strict=False)

    decimals, records = _guessed(fields(), options)
    catalog.rows = _shaped(records, decimals, catalog)


def _read_json_ld(blocks: Iterable[bytes], catalog: ProductRows, options: TextOptions) -> None:
    catalog.preset = JSON_LD
    decimals, records = _guessed(json_ld.json_ld_products(blocks), options)

    def rows() -> Iterator[Row | list[RowError]]:
        now = datetime.now(UTC)
        for row, fields in records:
            if isinstance(fields, str):
                yield [RowError(row, "", fields)]
                continue
            if isinstance(fields.get("name"), str):
                fields["name"] = " ".join(plain_text(fields["name"]).split())
            yield from_fields(row, fields, now, decimals)

    catalog.rows = rows()


def form_of(head: bytes) -> TextFormat:
    """Return the format of a text file by its first bytes."""
    if xml_feeds.is_xml(head):
        return "xml"
    return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) else "csv"


def read_products(
    blocks: Iterable[bytes],
    form: TextFormat,
    reading: Reading | None = None,
    options: TextOptions | None = None,
) -> ProductRows:
    """Open a catalog of text. Raises InvalidRequest for a header that is wrong, and for options that do not fit it."""
    catalog = ProductRows()
    reading, options = reading or Reading(), options or TextOptions()
    source = iter(blocks)
    head = next(source, b"")
    content = chain((head,), source)
    refuse_html(head)
    if form == "csv" and xml_feeds.is_xml(head):
        raise InvalidRequest("The file is XML, not CSV; give the format xml, or send it as application/xml.")
    if form == "xml":
        _read_xml(content, reading, options, catalog)
    elif form == "jsonl" and (reading.preset is JSON_LD or (reading.preset is None and json_ld.is_json_ld(head))):
        _read_json_ld(content, catalog, options)
    else:
        (_read_csv if form == "csv" else _read_json_lines)(content, reading, options, catalog)
    return catalog


@dataclass(frozen=True)
class Repeated:
    """A row that a later row of the same ``external_id`` replaced."""

    row: int
    external_id: str
    replaced_by: int


class Repetitions:
    """Finds rows that later rows of the same ``external_id`` replace, across the chunks of a file."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def add(self, rows: Iterable[Row]) -> list[Repeated]:
        """Take rows in the file's order and return those, of these and of earlier ones, that they replace."""
        repeated = []
        for row, product in rows:
            if product.external_id is not None:
                before = self._last.get(product.external_id)
                if before is not None:
                    repeated.append(Repeated(before, product.external_id, row))
                self._last[product.external_id] = row
        return repeated


def count_errors(left_out: LeftOut, errors: Iterable[RowError]) -> None:
    """Count a row under the first of its errors."""
    first = next(iter(errors))
    # a value in the message is not part of the reason
    reason = first.message.split("; got ")[0].replace(": ", ", ")
    left_out.add(first.row, f"{first.field} {reason}".strip())


def shown(product: ProductWrite) -> dict[str, Any]:
    """Return the given fields of a product as the API shows them, for a preview."""
    values = product.model_dump(exclude_unset=True)
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def mapping_of(catalog: ProductRows) -> dict[str, Any]:
    """Return how a catalog is read: the preset, the file's column of each field, and what is ignored."""
    return {
        "preset": catalog.preset.name,
        "columns": dict(catalog.columns),
        "ignored_columns": sorted(catalog.ignored),
        "skipped": catalog.skipped.summary(),
        "read_as": catalog.read_as,
    }


@dataclass(frozen=True)
class Feed:
    """A catalog that is in memory: its good rows, the errors of the others, and how it was read."""

    rows: list[Row]
    errors: list[RowError]
    left_out: LeftOut
    catalog: ProductRows

    @property
    def ignored(self) -> list[str]:
        """The columns that were not read."""
        return sorted(self.catalog.ignored)

    @property
    def read_as(self) -> dict[str, Any]:
        """How a CSV was read: separator, encoding and decimal mark."""
        return self.catalog.read_as


def parse_products(
    body: bytes,
    form: TextFormat,
    reading: Reading | None = None,
    options: TextOptions | None = None,
    max_rows: int = 10_000,
) -> Feed:
    """Read a catalog in memory. Raises InvalidRequest for a wrong header or too many rows."""
    catalog = read_products((body,), form, reading, options)
    rows: list[Row] = []
    errors: list[RowError] = []
    left_out = LeftOut()
    for count, row in enumerate(catalog, start=1):
        if count > max_rows:
            raise InvalidRequest(f"The feed has more than {max_rows} rows; split it, or run the job import_catalog.")
        if isinstance(row, list):
            errors.extend(row)
            count_errors(left_out, row)
        else:
            rows.append(row)
    return Feed(rows, errors, left_out, catalog)
