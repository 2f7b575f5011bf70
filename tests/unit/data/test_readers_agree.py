"""Files as many tools write them: every reader gives the same answer, and nothing is lost without a word."""

import bz2
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.data.event_files import open_events
from jobs.data.event_rows import EventRules, check
from jobs.data.files import UnreadableFile, read_catalog, read_events
from jobs.data.product_files import open_products
from shared.clients import sources
from shared.errors import InvalidRequest
from shared.tables.columns import EVENT_COLUMNS, PRODUCT_COLUMNS, STANDALONE_EVENT_COLUMNS, Columns
from shared.tables.presets import Reading
from shared.tables.product_values import RowError
from shared.tables.products import parse_products

HEAD = "user_id,item_id,event_type,timestamp\n"
AT = "2026-03-01T10:00:00Z"
LINE = json.dumps({"user_id": "u", "item_id": 1, "event_type": "view", "timestamp": AT}) + "\n"
GOOD = {
    "user_id": pa.array(["u1", "u2"]),
    "item_id": pa.array(["1", "2"]),
    "event_type": pa.array(["view", "view"]),
    "timestamp": pa.array([datetime(2026, 3, 1, 10, tzinfo=UTC)] * 2),
}
Pairs = list[tuple[str, str]]


def parquet(**columns: Any) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body)
    return body.getvalue()


def events(
    folder: Path, body: bytes | str, name: str = "events.csv", rules: EventRules | None = None, **mapping: str
) -> tuple[Pairs, dict[int, str]]:
    """Return users and items of the events, and the reasons of the other rows, as both readers of events give them."""
    path = folder / name
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    pairs: Pairs = []
    reasons: dict[int, str] = {}
    with path.open("rb") as file, sources.unpacked(file, str(path)) as plain:
        opened = open_events(plain, sources.format_of(name, None), 1000, columns=Columns(EVENT_COLUMNS, mapping))
        for chunk in opened.chunks:
            checked = check(chunk.rows, chunk.numbers, rules)
            pairs += list(zip(checked.events["user_key"], checked.events["external_id"], strict=True))
            reasons.update(chunk.broken + checked.rejected)
    alone = read_events(str(path), columns=Columns(STANDALONE_EVENT_COLUMNS, mapping), rules=rules)
    assert set(zip(alone.users, alone.items, strict=True)) == set(pairs)
    assert alone.rows == len(pairs) + len(reasons)
    assert sum(alone.left_out.counts.values()) == alone.rows - len(alone.users)
    return pairs, reasons


def refusal(folder: Path, body: bytes | str, name: str = "events.csv", **mapping: str) -> str:
    """Return why both readers of events refuse a file: the same message in one line."""
    with pytest.raises(InvalidRequest) as refused:
        events(folder, body, name, None, **mapping)
    with pytest.raises(UnreadableFile, match=r"\A[^\n]*\Z") as alone:
        read_events(str(folder / name), columns=Columns(STANDALONE_EVENT_COLUMNS, mapping))
    assert refused.value.detail in str(alone.value)
    return refused.value.detail


def catalog(folder: Path, body: bytes, name: str) -> tuple[dict[str | None, Decimal], list[RowError]]:
    """Return ids and prices of a catalog's products, and the errors of the other rows, as the job gives them."""
    path = folder / name
    path.write_bytes(body)
    with path.open("rb") as file, sources.unpacked(file, str(path)) as plain:
        rows = list(open_products(plain, sources.format_of(name, None)))
    products = {row[1].external_id: row[1].price for row in rows if isinstance(row, tuple)}
    found = read_catalog(str(path), np.array([name for name in products if name], dtype=object))
    assert found.matched == len([name for name in products if name])
    assert found.catalog.prices.tolist() == [float(price) for name, price in products.items() if name]
    return products, [error for row in rows if isinstance(row, list) for error in row]


@pytest.mark.parametrize(
    "body",
    [
        # Excel for Mac: CR ends rows, LF is in cells
        HEAD.replace("\n", "\r") + f'"u\n1",1,view,{AT}\ru2,2,view,{AT}\r',
        # a header whose cell has a line break in quotes
        HEAD.replace("timestamp", 'timestamp,"a\rb"') + f'"u\n1",1,view,{AT},\nu2,2,view,{AT},\n',
        # two byte order marks
        "\ufeff\ufeff" + HEAD + f'"u\n1",1,view,{AT}\nu2,2,view,{AT}\n',
        # Excel's first line, filled up
        "sep=,,,,\n" + HEAD + f'"u\n1",1,view,{AT}\nu2,2,view,{AT}\n',
        # an empty first row
        ",,,\n" + HEAD + f'"u\n1",1,view,{AT}\nu2,2,view,{AT}\n',
        # text mode twice
        (HEAD + f'"u\n1",1,view,{AT}\n').replace(AT + "\n", AT + "\r\r\n") + f"u2,2,view,{AT}\r\r\n",
    ],
)
def test_lines_and_headers_are_found_as_tools_write_them(tmp_path: Path, body: str) -> None:
    assert events(tmp_path, body) == ([("u\n1", "1"), ("u2", "2")], {})


def test_a_broken_character_costs_its_own_line_in_utf_16_too(tmp_path: Path) -> None:
    good = f"u1,1,view,{AT}\n"
    lone = "\ud800".encode("utf-16-le", "surrogatepass")
    body = (HEAD + good).encode("utf-16-le") + "u2".encode("utf-16-le") + lone + good[2:].encode("utf-16-le")
    pairs, reasons = events(tmp_path, body + "u3,3,view,2026-03-02".encode("utf-16-le")[:-1])
    assert pairs == [("u1", "1")]
    assert set(reasons) == {3, 4}
    assert all("is not utf-16-le" in reason for reason in reasons.values())


@pytest.mark.parametrize(
    "text", ["NULL", "null", "nan", "NaN", "None", "NaT", "<NA>", "NA", "#N/A", "\\N", "undefined"]
)
def test_a_missing_id_is_no_id(tmp_path: Path, text: str) -> None:
    body = HEAD.replace("\n", ",session_id,event_id\n") + (
        f"{text},1,view,{AT},s,\nu,{text},view,{AT},s,\nu,1,view,{AT},{text},{text}\nu,2,view,{AT},{text},{text}\n"
    )
    assert events(tmp_path, body) == ([("u", "1"), ("u", "2")], {2: "no user_id", 3: "no product"})
    lines = [
        json.dumps({"user_id": user, "item_id": item, "event_type": "view", "timestamp": AT})
        for user, item in ((text, 1), ("u", text), ("u", 1))
    ]
    assert events(tmp_path, "\n".join(lines), "e.jsonl") == ([("u", "1")], {1: "no user_id", 2: "no product"})
    feed = parse_products(f"sku,title,price,brand,category\n{text},A,1,{text},{text}\n1,{text},1,,\n".encode(), "csv")
    assert [product.model_dump(exclude_unset=True) for _row, product in feed.rows] == [
        {"name": "A", "price": Decimal(1)}
    ]
    assert feed.errors == [RowError(3, "name", "is required")]


def test_one_id_is_the_same_in_every_way_of_writing_it(tmp_path: Path) -> None:
    ids = ("1001", "1001.0", "1001.00", '"1001,0"', '"=""1001"""', '="1001"', " 1001 ")
    pairs, reasons = events(tmp_path, HEAD + "".join(f"u{place},{id},view,{AT}\n" for place, id in enumerate(ids)))
    assert {item for _user, item in pairs} == {"1001"}
    assert (len(pairs), reasons) == (len(ids), {})
    for text in ids:
        products, _errors = catalog(tmp_path, f"sku,title,price\n{text},A,1\n".encode(), "c.csv")
        assert list(products) == ["1001"]
    assert events(tmp_path, HEAD + f'u,"=""0007""",view,{AT}\n')[0] == [("u", "0007")]


def test_an_id_that_a_spreadsheet_shortened_is_refused_in_every_reader(tmp_path: Path) -> None:
    body = HEAD + f'u,4.00638E+12,view,{AT}\nu,"4,00638E+12",view,{AT}\n4.1E+10,1,view,{AT}\nu,1E5,view,{AT}\n'
    pairs, reasons = events(tmp_path, body)
    assert pairs == [("u", "1E5")]
    assert [reason.split(" is ")[0] for _row, reason in sorted(reasons.items())] == ["external_id"] * 2 + ["user_id"]
    products, errors = catalog(tmp_path, b"sku,title,price\n4.00638E+12,A,1\n1E5,A,1\n", "c.csv")
    assert list(products) == ["1E5"]
    assert [(error.row, error.field) for error in errors] == [(2, "external_id")]
    wanted = np.array(["4.00638E+12", "1E5"], dtype=object)
    assert read_catalog(str(tmp_path / "c.csv"), wanted).matched == 1


@pytest.mark.parametrize(
    ("kind", "number"),
    [(pa.float64(), 2.0**53), (pa.float64(), 1.2e19), (pa.float32(), 2.0**24), (pa.float16(), 2048.0)],
)
def test_an_id_that_a_float_cannot_hold_exactly_is_refused(tmp_path: Path, kind: Any, number: float) -> None:
    ids = pa.array([number, 7.0], pa.float64()).cast(kind)
    pairs, reasons = events(tmp_path, parquet(**{**GOOD, "item_id": ids}), "e.parquet")
    assert (pairs, list(reasons)) == ([("u2", "7")], [1])
    assert "has lost digits" in reasons[1]
    body = parquet(sku=ids, title=pa.array(["A", "B"]), price=pa.array([1, 2]))
    products, errors = catalog(tmp_path, body, "c.parquet")
    assert (products, [(error.row, error.field) for error in errors]) == ({"7": Decimal(2)}, [(1, "external_id")])


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        (pa.array([Decimal("1001.00"), Decimal("7")], pa.decimal128(10, 2)), ["1001", "7"]),
        (pa.array([b"1001", b" 7 "]), ["1001", "7"]),
        (pa.array([b"1001", b"1002"], pa.binary(4)), ["1001", "1002"]),
        (pa.array(["1001", "7"], pa.large_string()), ["1001", "7"]),
        (pa.array([1001, 7]).dictionary_encode(), ["1001", "7"]),
        (pa.array([1001.5, 7.0], pa.float32()), ["1001.5", "7"]),
        (pa.array([2**64 - 1, 7], pa.uint64()), ["18446744073709551615", "7"]),
        (pa.array([UUID(int=1).bytes, UUID(int=2).bytes], pa.uuid()), [str(UUID(int=1)), str(UUID(int=2))]),
    ],
)
def test_an_id_of_any_type_of_parquet_is_the_same_id(tmp_path: Path, ids: Any, texts: list[str]) -> None:
    pairs, reasons = events(tmp_path, parquet(**{**GOOD, "item_id": ids}), "e.parquet")
    assert ([item for _user, item in pairs], reasons) == (texts, {})
    body = parquet(sku=ids, title=pa.array(["A", "B"]), price=pa.array([1.5, 2.5], pa.float32()))
    assert catalog(tmp_path, body, "c.parquet") == (dict(zip(texts, [Decimal("1.5"), Decimal("2.5")], strict=True)), [])


@pytest.mark.parametrize(
    "times",
    [
        pa.array([9 * 10**18, 1_772_359_200_000_000], pa.timestamp("us", "UTC")),
        pa.array([9 * 10**15, 1_772_359_200], pa.timestamp("s", "Asia/Tokyo")),
        pa.array([9 * 10**15, 1_772_359_200_000], pa.timestamp("ms")),
        pa.array([date(9999, 12, 31), date(2026, 3, 1)]),
        pa.array(["9999-12-31 23:59:59", "2026-03-01"]),
    ],
)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_time_beyond_the_calendar_is_a_time_of_the_future(tmp_path: Path, times: Any, zone: str) -> None:
    body = parquet(**{**GOOD, "timestamp": times})
    pairs, reasons = events(tmp_path, body, "e.parquet", EventRules(zone=ZoneInfo(zone)))
    assert (pairs, list(reasons)) == ([("u2", "2")], [1])
    assert "timestamp is in the future" in reasons[1]


def test_a_time_before_the_calendar_is_refused_as_such(tmp_path: Path) -> None:
    body = HEAD + f"u,1,view,0001-01-01 00:00:00\nu,2,view,{AT}\n"
    for zone in ("Asia/Tokyo", "America/New_York"):
        pairs, reasons = events(tmp_path, body, rules=EventRules(zone=ZoneInfo(zone)))
        assert (pairs, reasons) == ([("u", "2")], {2: "timestamp is before 2000"})


@pytest.mark.parametrize("text", ["1.77236E+12", "1.77236E+09", "2E+9"])
def test_a_time_that_a_spreadsheet_shortened_is_refused(tmp_path: Path, text: str) -> None:
    pairs, reasons = events(tmp_path, HEAD + f"u,1,view,{text}\nu,2,view,1.7723592e+12\n")
    assert (pairs, list(reasons)) == ([("u", "2")], [2])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("item_id", pa.array([[1], [2]], pa.large_list(pa.int64()))),
        ("item_id", pa.array([[1], [2]], pa.list_(pa.int64(), 1))),
        ("user_id", pa.array([{"id": 1}, {"id": 2}])),
        ("event_type", pa.array([True, False])),
        ("timestamp", pa.array([1_772_359_200.0, 1_772_359_200.0], pa.float32())),
    ],
)
def test_a_column_of_a_type_that_cannot_be_right_is_named(tmp_path: Path, name: str, values: Any) -> None:
    field = {"item_id": "external_id"}.get(name, name)
    assert f"column for {field} holds" in refusal(tmp_path, parquet(**{**GOOD, name: values}), "e.parquet")


def test_metadata_of_parquet_is_an_object_or_is_refused(tmp_path: Path) -> None:
    lists = parquet(**GOOD, metadata=pa.array([["a"], None]))
    assert events(tmp_path, lists, "e.parquet") == ([("u2", "2")], {1: "metadata is not a JSON object"})
    maps = parquet(**GOOD, metadata=pa.array([[("a", "b")], None], pa.map_(pa.string(), pa.string())))
    assert events(tmp_path, maps, "e.parquet")[1] == {}


def test_a_damaged_parquet_file_is_one_line_of_reason(tmp_path: Path) -> None:
    for change in (slice(4, 40), slice(60, 100)):
        names = [f"u{place}" for place in range(5000)]
        body = bytearray(
            parquet(
                user_id=pa.array(names),
                item_id=pa.array(names),
                event_type=pa.array(["view"] * 5000),
                timestamp=pa.array([AT] * 5000),
            )
        )
        body[change] = b"\xff" * len(body[change])
        assert "cannot be read as parquet" in refusal(tmp_path, bytes(body), "e.parquet")
        body = bytearray(parquet(sku=pa.array(names), title=pa.array(names), price=pa.array([1] * 5000)))
        body[change] = b"\xff" * len(body[change])
        with pytest.raises(InvalidRequest, match="not a readable Parquet file"):
            catalog(tmp_path, bytes(body), "c.parquet")


def test_an_empty_text_of_parquet_is_not_given(tmp_path: Path) -> None:
    empty = pa.array(["", " "])
    body = parquet(
        sku=pa.array(["1", "2"]), title=pa.array(["A", "B"]), price=pa.array([1, 2]), brand=empty, category=empty
    )
    assert catalog(tmp_path, body, "c.parquet") == ({"1": Decimal(1), "2": Decimal(2)}, [])


def test_numbers_that_are_text_in_parquet_are_read_as_in_a_csv(tmp_path: Path) -> None:
    body = parquet(**{**GOOD, "event_type": pa.array(["buy", "buy"])}, quantity=pa.array(["3,0", "1.299,0"]))
    assert events(tmp_path, body, "e.parquet")[1] == {}


@pytest.mark.parametrize(
    "body",
    [
        "[" + LINE.strip() + "," + LINE.strip() + "]",
        "[\n" + LINE.strip() + ",\n" + LINE + "]\n",
        "\n[\n  {\n",
        "[]",
    ],
)
def test_a_json_array_is_refused_as_a_whole_with_the_remedy(tmp_path: Path, body: str) -> None:
    assert "one object per line" in refusal(tmp_path, body, "e.json")
    with pytest.raises(InvalidRequest, match="one object per line"):
        parse_products(body.encode(), "jsonl")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "cp1252", "utf-8-sig"])
def test_json_lines_are_read_in_every_encoding_that_is_found(tmp_path: Path, encoding: str) -> None:
    body = LINE.replace('"u"', '"müller"').encode(encoding)
    assert events(tmp_path, body, "e.jsonl") == ([("müller", "1")], {})


def test_nan_in_a_json_line_is_null(tmp_path: Path) -> None:
    body = LINE.replace('"timestamp"', '"quantity": NaN, "metadata": {"a": NaN}, "timestamp"')
    assert events(tmp_path, body, "e.jsonl") == ([("u", "1")], {})
    for wrong in ('"\\ud800"', "Infinity", "1" * 400):
        _pairs, reasons = events(tmp_path, body.replace('"u"', wrong), "e.jsonl")
        assert list(reasons) == [1]


def test_a_mapping_that_names_no_column_is_refused_in_every_format(tmp_path: Path) -> None:
    for body, name in ((LINE, "e.jsonl"), (HEAD, "e.csv"), (parquet(**GOOD), "e.parquet")):
        assert "has no column 'Stk'; it has: user_id, item_id" in refusal(tmp_path, body, name, quantity="Stk")
    with pytest.raises(InvalidRequest, match="no column 'Marke'"):
        parse_products(b'{"title": "A", "price": 1}\n', "jsonl", Reading(None, {"brand": "Marke"}))
    # a column that some rows lack
    assert events(tmp_path, LINE + LINE.replace('"u"', '"v", "Stk": 2'), "e.jsonl", quantity="stk")[1] == {}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (parquet(**GOOD), "a Parquet file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "an Excel workbook"),
        (gzip.compress(gzip.compress(HEAD.encode(), mtime=0), mtime=0), "compressed twice"),
        (LINE.encode(), "JSON, not CSV"),
        (b"[\n" + LINE.encode(), "JSON, not CSV"),
    ],
)
def test_a_file_of_another_kind_than_its_name_says_is_called_what_it_is(tmp_path: Path, body: bytes, says: str) -> None:
    assert says in refusal(tmp_path, body)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda body: pa.compress(body, "zstd", asbytes=True)])
@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.csv.zst", "e.csv.bz2"])
def test_the_first_bytes_say_how_a_file_is_packed(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    assert events(tmp_path, pack((HEAD + f"u,1,view,{AT}\n").encode()), name) == ([("u", "1")], {})


@pytest.mark.parametrize("cut", [slice(None, -20), slice(None, -4), slice(10, None)])
def test_a_damaged_packed_file_is_one_line_of_reason(tmp_path: Path, cut: slice) -> None:
    body = gzip.compress((HEAD + "".join(f"u{row},1,view,{AT}\n" for row in range(5000))).encode())[cut]
    assert "cannot be read" in refusal(tmp_path, body, "e.csv.gz")


def test_a_price_that_cannot_be_read_is_reported_by_an_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("sku;price\n1;1.299\n2;12.50 pieces\n3;\n4;-1\n5;2 EUR\n6;NULL\n")
    found = read_catalog(str(path), np.array(list("123456"), dtype=object))
    assert found.catalog.prices.tolist() == [0, 0, 0, 0, 2, 0]
    [unread] = found.report()["unread"]
    assert (unread["count"], unread["rows"], unread["example"]) == (3, [2, 3, 5], "1.299")


def test_a_word_in_two_unicode_forms_is_one_word_in_every_reader(tmp_path: Path) -> None:
    composed, decomposed, bystander = "G\u00e2teau", "Ga\u0302teau", "Gateau"
    lines = [f"u{place},{item},view,{AT}" for place, item in enumerate((composed, decomposed, bystander))]
    pairs, _reasons = events(tmp_path, HEAD + "\n".join(lines) + "\n")
    assert [item for _user, item in pairs] == [composed, composed, bystander]
    # a user's id is not a word
    pairs, _reasons = events(tmp_path, HEAD + f"{decomposed},1,view,{AT}\n")
    assert pairs == [(decomposed, "1")]
    items = tmp_path / "items.csv"
    rows = (composed, decomposed, bystander)
    listed = "".join(f"{item},{word},{word},{word}\n" for item, word in zip("abc", rows, strict=True))
    items.write_text("item_id,category,brand,tags\n" + listed)
    catalog = read_catalog(str(items), np.array(["a", "b", "c"], dtype=object)).catalog
    for labels in (catalog.categories, catalog.brands):
        assert labels[0] == labels[1] != labels[2]
    assert catalog.tags.shape == (3, 2)
    # the name of a column too
    items.write_text(f"item_id,category,G\u0302\n{decomposed},x,y\n{bystander},y,y\n")
    columns = Columns(PRODUCT_COLUMNS, {"brand": "\u011c"})
    known = read_catalog(str(items), np.array([composed, bystander], dtype=object), columns=columns)
    assert known.matched == 2
    assert known.catalog.categories.tolist() == [0, 1]
    assert known.catalog.brands.tolist() == [0, 0]
