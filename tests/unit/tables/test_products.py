"""A feed yields every good row, and the line and reason of every bad one."""

import contextlib
import csv
import io
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.tables.csv_files import csv_records
from shared.tables.products import Feed, Repeated, Repetitions, parse_products
from shared.tables.reports import LeftOut


def parse_csv(body: bytes, max_rows: int = 10_000) -> Feed:
    return parse_products(body, "csv", max_rows=max_rows)


def parse_json_lines(body: bytes) -> Feed:
    return parse_products(body, "jsonl")


HEADER = b"external_id,name,price,category,tags,quantity,is_active,latitude,longitude\n"


def errors(feed: Feed) -> list[tuple[int, str]]:
    return [(error.row, error.field) for error in feed.errors]


def test_cells_become_values_of_their_columns_type() -> None:
    feed = parse_csv(HEADER + b'a1,"A ""nice"" thing",2.50,Home>Candles,red| blue|red,5,yes,1.5,-2\n')
    assert errors(feed) == []
    line, product = feed.rows[0]
    assert line == 2
    assert product.name == 'A "nice" thing'
    assert product.price == Decimal("2.50")
    assert product.category == "Home > Candles"
    assert product.tags == ["red", "blue"]
    assert (product.quantity, product.is_active, product.latitude, product.longitude) == (5, True, 1.5, -2.0)


def test_an_empty_cell_is_not_given() -> None:
    product = parse_csv(HEADER + b"a1,A,1,,,,,,\n").rows[0][1]
    assert product.model_fields_set == {"external_id", "name", "price"}


def test_a_broken_row_is_named_and_the_others_load() -> None:
    feed = parse_csv(
        HEADER
        + b"a1,A,1,,,,,,\n"
        + b"a2,B,-1,,,,,,\n"  # line 3: negative price
        + b"a3,C\n"  # line 4: cells missing
        + b"a4,D,4,,,,,,\n"
    )
    assert [product.external_id for _line, product in feed.rows] == ["a1", "a4"]
    assert errors(feed) == [(3, "price"), (4, "")]


@pytest.mark.parametrize("after", [b"", b'a5,"E, or ""e""",5,,,,,,\n', b'a5,E,5,,,,,,\na6,"F",6,,,,,,\n'])
def test_a_quote_that_never_closes_costs_its_own_line_only(after: bytes) -> None:
    feed = parse_csv(HEADER + b"a1,A,1,,,,,,\n" + b'a2,"B,2,,,,,,\n' + b"a4,D,4,,,,,,\n" + after)
    assert errors(feed) == [(3, "")]
    assert [product.external_id for _line, product in feed.rows][:2] == ["a1", "a4"]
    assert len(feed.rows) == 2 + after.count(b"\n")


def test_a_record_over_several_lines_goes_by_its_first() -> None:
    feed = parse_csv(HEADER + b'a1,"two\nlines",1,,,,,,\na2,B,x,,,,,,\n')
    assert feed.rows[0][0] == 2
    assert feed.rows[0][1].name == "two\nlines"
    assert errors(feed) == [(4, "price")]


def test_a_line_that_is_not_utf8_is_one_bad_row() -> None:
    feed = parse_csv(HEADER + b"a1,caf\xe9,1,,,,,,\na2,caf\xc3\xa9,1,,,,,,\n")
    assert errors(feed) == [(2, "")]
    assert feed.rows[0][1].name == "café"


def test_spreadsheets_marks_and_line_ends_are_no_part_of_a_cell() -> None:
    feed = parse_csv(b'\xef\xbb\xbf"Name",price\r\nA,1\r\n\r\nB,2')
    assert [product.name for _line, product in feed.rows] == ["A", "B"]


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"name,price,colour\n", "colour"),
        (b"name,quantity\n", "price"),
        (b"name,price,name\n", "twice"),
        (b'"name\n', "quote"),
    ],
)
def test_a_header_that_is_wrong_is_one_problem(header: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_csv(header + b"A,1,2\n")


def test_json_lines_report_the_line_and_the_field() -> None:
    feed = parse_json_lines(
        b'{"name": "A", "price": 1.5, "tags": ["x"]}\n'
        b"[1]\n"
        b"\n"
        b'{"name": "B"\n'
        b'{"name": "C", "price": "2", "colour": 1}\n'
        b'{"name": "\\ud800", "price": 1}\n'
        b'{"name": "D", "price": 3}'
    )
    assert [(line, product.name) for line, product in feed.rows] == [(1, "A"), (7, "D")]
    assert errors(feed) == [(2, ""), (4, ""), (5, "price"), (5, "colour"), (6, "")]


def test_a_feed_that_is_too_long_is_refused_as_a_whole() -> None:
    body = b"name,price\n" + b"A,1\n" * 11
    assert len(parse_csv(body, max_rows=11).rows) == 11
    with pytest.raises(InvalidRequest, match="more than 10 rows"):
        parse_csv(body, max_rows=10)


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=2, max_size=4), max_size=8))
def test_records_written_by_csv_writer_are_read_back(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    read = [cells for _line, cells in csv_records(text.getvalue().encode().splitlines(keepends=True))]
    assert read == rows


@given(st.binary(max_size=300))
@example(b"PK\x03\x04")
def test_no_bytes_make_the_readers_fail(body: bytes) -> None:
    for data in (b"name,price\n" + body, body):
        try:
            csv_feed = parse_csv(data)
        except InvalidRequest:
            continue
        assert all(error.row >= 1 for error in csv_feed.errors)
    with contextlib.suppress(InvalidRequest):
        assert all(error.row >= 1 for error in parse_json_lines(body).errors)


def test_a_function_that_imports_the_rules_loads_no_pandas() -> None:
    code = "import sys, functions.products.imports; print({'numpy', 'pandas', 'pyarrow', 'fsspec'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"


def test_a_json_line_may_use_usual_names_and_numbers_for_ids_and_texts() -> None:
    feed = parse_json_lines(
        b'{"SKU": 12345, "title": "Cup", "price": 9.99, "Qty": 3.0}\n'
        b'{"sku": 12345.0, "Title": 1984, "price": 1, "qty": 2}\n'
        b'{"sku": 1e23, "title": "Cup", "price": 1}\n'
        b'{"sku": true, "title": "Cup", "price": 1}\n'
        b'{"sku": "a", "asin": "b", "title": "Cup", "price": 1}\n'
        b'{"sku": "a", "title": "Cup", "price": 1, "quantity": 2.5}\n'
    )
    assert [(product.external_id, product.name, product.quantity) for _row, product in feed.rows] == [
        ("12345", "Cup", 3),
        ("12345", "1984", 2),
    ]
    assert errors(feed) == [(3, "external_id"), (4, "external_id"), (5, ""), (6, "quantity")]


@pytest.mark.parametrize("price", ["1_000", "١٢", "NaN", "sNaN", "Infinity", "19.99 PCS", "5 $ EUR 6", "Free", "1,299"])
def test_a_price_that_is_ambiguous_or_not_a_number_is_refused_with_its_text(price: str) -> None:
    feed = parse_products(f'external_id,name,price\na,A,"{price}"\n'.encode(), "csv")
    assert errors(feed) == [(2, "price")]
    assert price in feed.errors[0].message
    assert feed.left_out.summary()[0]["count"] == 1


def test_prices_of_a_file_with_commas_are_read_with_commas() -> None:
    feed = parse_products(b"external_id;name;price;latitude;longitude\na;A;1.299,00;51.5;0.125\nb;B;3;;\n", "csv")
    assert errors(feed) == []
    first, second = (product for _row, product in feed.rows)
    assert (first.price, first.latitude, second.price) == (Decimal("1299.00"), 51.5, 3)
    assert feed.read_as["decimal"] == "price ,; latitude .; longitude ."


@pytest.mark.parametrize("price", ["1.500", "1,500"])
def test_a_price_without_a_known_mark_is_refused_where_the_mark_may_be_either(price: str) -> None:
    feed = parse_products(f"name;price;latitude;longitude\nA;{price};51.507;13.405\n".encode(), "csv")
    assert errors(feed) == [(2, "price")]
    assert "give decimal" in feed.errors[0].message
    shown = parse_products(f"name;price\nA;{price}\nB;{price[:1]}{price[1]}5\n".encode(), "csv")
    assert [product.price for _row, product in shown.rows] == [Decimal("1.500"), Decimal("1.5")]
    points = parse_products(b"name,price\nA,1.500\n", "csv")
    assert points.rows[0][1].price == Decimal("1.5")


def test_a_row_that_a_later_one_replaces_is_named_with_it() -> None:
    feed = parse_products(b"external_id,name,price\n7,A,1\n8,B,1\n7.0,C,1\n 7 ,D,1\n,E,1\n,E,1\n", "csv")
    assert Repetitions().add(feed.rows) == [Repeated(2, "7", 4), Repeated(4, "7", 5)]


def test_many_reasons_are_summed_up() -> None:
    left_out = LeftOut()
    for row in range(1, 301):
        left_out.add(row, f"reason {row}")
        left_out.add(row, f"unknown product: p{row}")
    summary = left_out.summary()
    assert summary[0] == {"reason": "unknown product", "count": 300, "rows": [1, 2, 3, 4, 5], "example": "p1"}
    assert summary[1]["reason"] == "other reasons"
    assert len(summary) <= 102
    assert sum(entry["count"] for entry in summary) == 600
