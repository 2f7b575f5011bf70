"""Encoding, separator, decimal mark, line ends and records of a CSV."""

import gzip

import pytest

from shared.errors import InvalidRequest
from shared.tables.csv_files import CsvFile, csv_records, read_csv, text_options
from shared.tables.products import parse_products
from shared.tables.text_files import MAX_RECORD_BYTES, SAMPLE_BYTES, find_encoding, split_lines
from shared.tables.values import UNKNOWN

KNOWN = {"id", "name", "price"}


def opened(body: bytes, separator: str | None = None, encoding: str | None = None, block: int = 1 << 20) -> CsvFile:
    blocks = (body[start : start + block] for start in range(0, len(body), block))
    table = read_csv(blocks, text_options(separator, encoding, None), KNOWN.__contains__)
    assert table is not None
    return table


def rows(body: bytes, **options: str) -> list[tuple[int, list[str] | str]]:
    return list(opened(body, **options).records)  # type: ignore[arg-type] — options are text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_makes_known_columns(separator: str) -> None:
    body = separator.join(("id", "name", "price")) + "\n" + separator.join(("1", "a", "2")) + "\n"
    table = opened(body.encode())
    assert (table.header, table.separator) == (["id", "name", "price"], separator)
    assert list(table.records) == [(2, ["1", "a", "2"])]


def test_other_separators_in_the_header_do_not_mislead() -> None:
    table = opened(b'id;name;"x,y,z,w,v"\n1;a;b\n')
    assert (table.separator, table.header) == (";", ["id", "name", "x,y,z,w,v"])


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_excels_first_line_names_the_separator_and_counts_as_a_line(first: str, encoding: str) -> None:
    assert rows(f"{first}\r\nid;name\r\n1;a\r\n".encode(encoding)) == [(3, ["1", "a"])]


@pytest.mark.parametrize(
    ("encoding", "label"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("cp1252", "windows-1252"),
        ("utf-16", "utf-16-le"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32-le"),
    ],
)
@pytest.mark.parametrize("block", [1 << 20, 7])
def test_the_encoding_is_found(encoding: str, label: str, block: int) -> None:
    table = opened("id;name\r\n1;Schüssel groß\r\n2;Käse\r\n".encode(encoding), block=block)
    assert list(table.records) == [(2, ["1", "Schüssel groß"]), (3, ["2", "Käse"])]
    assert table.description({})["encoding"] == label


def test_an_encoding_that_is_given_is_used_and_a_byte_order_mark_counts_more() -> None:
    assert rows("id,name\n1,Größe\n".encode("mac_roman"), encoding="macintosh") == [(2, ["1", "Größe"])]
    assert rows("id,name\n1,Größe\n".encode("utf-16"), encoding="cp1252") == [(2, ["1", "Größe"])]
    assert rows("id,name\n1,価格\n".encode("shift_jis"), encoding="shift_jis") == [(2, ["1", "価格"])]


def test_a_broken_line_does_not_change_the_encoding_of_the_others() -> None:
    assert rows("id,name\n1,é\n".encode() + b"2,\xe9\n") == [
        (2, ["1", "é"]),
        (3, "is not UTF-8; give encoding if the file has another"),
    ]
    assert find_encoding(b"plain") == "utf-8"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_every_way(end: str) -> None:
    body = end.join(("id,name", "1,a", '2,"b"', "", "3,c"))
    assert rows(body.encode()) == [(2, ["1", "a"]), (3, ["2", "b"]), (5, ["3", "c"])]


def test_empty_rows_and_columns_at_the_end_are_none() -> None:
    body = b"id,name,,\n1,a,,\n,,,\n2,b\n3,c,,,,\n,,\n4,d,x\n5\n"
    table = opened(body)
    assert table.header == ["id", "name"]
    assert list(table.records) == [
        (2, ["1", "a"]),
        (4, ["2", "b"]),
        (5, ["3", "c"]),
        (7, "has 3 cells where the header has 2"),
        (8, "has 1 cells where the header has 2"),
    ]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('1,Frame 5" wide', ["1", 'Frame 5" wide']),
        ('1,5"', ["1", '5"']),
        ('1,"Frame 5"" wide"', ["1", 'Frame 5" wide']),
        ('1,"a, b"', ["1", "a, b"]),
        ('1,""', ["1", ""]),
        ('1,""""', ["1", '"']),
        ('1,"two\nlines, ""quoted"""', ["1", 'two\nlines, "quoted"']),
        ('"1",a "b" c', ["1", 'a "b" c']),
    ],
)
def test_a_quote_matters_only_where_a_cell_begins(line: str, cells: list[str]) -> None:
    assert rows(f"id,name\n{line}\n9,z\n".encode()) == [(2, cells), (3 + line.count("\n"), ["9", "z"])]


@pytest.mark.parametrize("line", ['1,"a', '1,"a "b" c', '1,"a"b', '1,"Frame 5" wide"'])
def test_a_wrong_quote_costs_its_own_line_only(line: str) -> None:
    first, *following = rows(f'id,name\n{line}\n2,b\n3,"c"\n'.encode())
    assert first[0] == 2
    assert isinstance(first[1], str)
    assert following == [(3, ["2", "b"]), (4, ["3", "c"])]


def test_quotes_that_never_close_cannot_make_the_work_grow_with_the_square_of_the_file() -> None:
    body = [b'a","b\n'] * 200_000
    with pytest.raises(InvalidRequest, match="too many quotes"):
        list(csv_records(body))


def test_a_line_that_is_too_long_is_one_bad_row() -> None:
    body = b"id,name\n1," + b"x" * (3 * MAX_RECORD_BYTES) + b"\n2,b\n"
    assert rows(body) == [(2, f"is longer than {MAX_RECORD_BYTES} bytes"), (3, ["2", "b"])]
    assert max(map(len, split_lines([body], b"\n"))) <= MAX_RECORD_BYTES + 2


def test_the_decimal_mark_is_found_in_the_number_columns_only() -> None:
    table = opened(b'id;name;price\n1;"1.5 l, 2,5 kg";12,50\n2;3.75;1.299,00\n')
    assert table.decimals({"price": 2}) == {"price": ","}
    assert table.decimals({"price": 2, "quantity": 0}) == {"price": ",", "quantity": ","}
    assert table.description({"price": ",", "latitude": "."})["decimal"] == "price ,; latitude ."
    assert table.description({"price": None})["decimal"] is None


def test_an_empty_file_has_no_header() -> None:
    for body in (b"", b"\n\n", b"\xef\xbb\xbf", b"sep=;\n"):
        assert read_csv([body], text_options(None, None, None), KNOWN.__contains__) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("ab", None, None), "separator"),
        (('"', None, None), "separator"),
        (("a", None, None), "separator"),
        ((None, "klingon", None), "encoding"),
        ((None, "hex", None), "encoding"),
        # text in another form of text, whose decoders take time by the square of a line, or give half characters
        ((None, "punycode", None), "encoding"),
        ((None, "idna", None), "encoding"),
        ((None, "unicode_escape", None), "encoding"),
        ((None, None, ";"), "decimal"),
    ],
)
def test_an_invalid_option_is_named(options: tuple[str | None, ...], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        text_options(*options)


def test_a_separator_may_be_named() -> None:
    assert [text_options(name, None, None).separator for name in ("tab", "\\t", "semicolon")] == ["\t", "\t", ";"]


def test_a_workbook_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidRequest, match="save it as CSV"):
        opened(b"PK\x03\x04\x14\x00\x06\x00")


def cut_inside(row: bytes, place: int) -> bytes:
    """Return a CSV of which the sample ends inside this row, after ``place`` of its bytes."""
    header, filler = b"id;price\n", b"a;1\n"
    length = SAMPLE_BYTES - place - len(header)
    padding = b"a" * (length % len(filler) + len(filler) - 3) + b";1\n"
    return header + filler * ((length - len(padding)) // len(filler)) + padding + row + b"\n" + filler * 9


@pytest.mark.parametrize("block", [1 << 30, 1 << 20, 1000])
def test_half_a_number_and_half_a_character_at_the_samples_end_are_no_evidence(block: int) -> None:
    body = cut_inside(b"b;1,299", 5)
    assert body[:SAMPLE_BYTES].endswith(b"\nb;1,2")
    table = opened(body, block=block)
    assert table.decimals({"price": 1}) == {"price": UNKNOWN}
    body = cut_inside("é;1".encode(), 1)
    assert body[:SAMPLE_BYTES].endswith(b"\n\xc3")
    assert ["é", "1"] in [cells for _row, cells in opened(body, block=block).records]


def test_a_header_that_is_not_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="header"):
        opened(gzip.compress(b"id,name\n" * 100, mtime=0)[4:], encoding="utf-8")
    with pytest.raises(InvalidRequest, match="compressed"):
        opened(gzip.compress(b"id,name\n" * 100, mtime=0), encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf_16_and_32_are_read_without_a_mark(encoding: str) -> None:
    for end in ("le", "be") if encoding == "utf-16" else ("le",):
        body = "id,name\n1,Gr\u00f6\u00dfe\n".encode(f"{encoding}-{end}")
        assert rows(body, encoding=encoding) == [(2, ["1", "Gr\u00f6\u00dfe"])]
    with pytest.raises(InvalidRequest):
        # neither
        parse_products(b"external_id,name,price\nx,y,1\n", "csv", None, text_options(None, encoding, None))
