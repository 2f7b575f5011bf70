"""The job that imports a catalog feed."""

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pandas as pd
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve

HEADER = "external_id,name,price,category,tags,quantity\n"


def run(serve: Serve, source: Path | str, **parameters: Any) -> httpx.Response:
    return serve("import_catalog").post("/", json={"source": str(source), **parameters})


def prices() -> dict[str, Decimal]:
    return {row[0]: row[1] for row in postgres.read("SELECT external_id, price FROM products")}


def test_a_feed_creates_changes_and_leaves_products_and_publishes_it(
    env: object, serve: Serve, tmp_path: Path, messages: Any
) -> None:
    take = messages("catalog-changes")
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER + "a,A,1,Home > Candles,red|blue,5\nb,B,2,,,\n")
    first = run(serve, feed).json()
    assert (first["rows"], first["created"], first["updated"], first["unchanged"], first["rejected"]) == (2, 2, 0, 0, 0)
    feed.write_text(HEADER + "a,A,1,Home > Candles,red|blue,5\nb,B,2.5,,,\nc,C,3,,,\n")
    second = run(serve, feed).json()
    assert (second["created"], second["updated"], second["unchanged"]) == (1, 1, 1)
    assert prices() == {"a": 1, "b": Decimal("2.50"), "c": 3}
    published = [orjson.loads(message.data) for message in take(3)]
    assert sorted((body["change"], len(body["product_ids"])) for body in published) == [
        ("created", 1),
        ("created", 2),
        ("updated", 1),
    ]
    rows = postgres.read("SELECT c.name, p.tags, p.quantity FROM products p JOIN categories c ON c.id = p.category_id")
    assert [tuple(row) for row in rows] == [("Candles", ["red", "blue"], 5)]


def test_a_broken_row_is_named_and_the_others_load(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER + 'a,A,1,,,\nb,B,-2,,,\nc,"C,3,,,\nd,D,4,,,\ne,E\n')
    body = run(serve, feed).json()
    assert (body["rows"], body["created"], body["rejected"]) == (5, 2, 3)
    assert [(error["row"], error["field"]) for error in body["errors"]] == [(3, "price"), (4, ""), (6, "")]
    assert set(prices()) == {"a", "d"}


def test_an_unknown_category_id_is_reported_by_its_line(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text('{"name": "A", "price": 1}\n\n{"name": "B", "price": 1, "category_id": 99}\n')
    body = run(serve, feed).json()
    assert (body["created"], body["rejected"]) == (1, 1)
    assert body["errors"] == [{"row": 3, "field": "category_id", "message": "there is no category 99"}]


def test_at_most_a_thousand_errors_are_listed_and_all_are_counted(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER + "a,A,x,,,\n" * 6000 + "b,B,2,,,\n")
    body = run(serve, feed).json()
    assert (body["rejected"], len(body["errors"]), body["errors_truncated"], body["created"]) == (6000, 1000, True, 1)
    assert body["errors"][-1]["row"] == 1001


def test_parquet_prices_are_the_decimals_that_were_meant(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.parquet"
    pd.DataFrame(
        {
            "external_id": ["a", "b", "c"],
            "name": ["A", "B", None],
            "price": pd.Series([1.55, 19.99, 3], dtype="float32"),
            "tags": [["x", "y"], None, None],
            "quantity": pd.Series([5, None, 1], dtype="Int32"),
        }
    ).to_parquet(feed)
    body = run(serve, feed).json()
    assert (body["created"], body["rejected"]) == (2, 1)
    assert (body["errors"][0]["row"], body["errors"][0]["field"]) == (3, "name")
    assert prices() == {"a": Decimal("1.55"), "b": Decimal("19.99")}


def test_a_large_feed_goes_in_chunks(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv.gz"
    feed.write_bytes(
        gzip.compress((HEADER + "".join(f"p{n},P {n},{n},C{n % 9},t{n % 5},1\n" for n in range(12_000))).encode())
    )
    body = run(serve, feed).json()
    assert (body["rows"], body["created"]) == (12_000, 12_000)
    assert run(serve, feed).json()["unchanged"] == 12_000
    assert postgres.read("SELECT count(*) FROM categories")[0][0] == 9


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("feed.csv", b"external_id,name\n", "no column 'price'"),
        ("feed.csv", b"name,price,colour\n", "unknown column 'colour'"),
        ("feed.parquet", b"no", "not a readable Parquet file"),
        ("feed.xlsx", b"PK", "format"),
    ],
)
def test_a_file_that_is_not_a_feed_is_a_problem_with_its_reason(
    env: object, serve: Serve, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    answer = run(serve, tmp_path / name)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_a_missing_feed_is_one_clear_problem(env: object, serve: Serve, tmp_path: Path) -> None:
    answer = run(serve, tmp_path / "nothing.csv")
    assert answer.status_code == 422
    assert "does not exist" in answer.json()["detail"]


def test_the_later_of_two_rows_of_one_product_counts_and_the_report_names_both(
    env: object, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("external_id,name,price\nX1,First,1\nX2,Other,2\nX1,Second,x\nX1,Third,3\n")
    body = run(serve, feed).json()
    assert body["repeated_rows"] == [{"row": 2, "external_id": "X1", "replaced_by": 5}]
    assert (body["rows"], body["created"], body["unchanged"], body["repeated"], body["rejected"]) == (4, 2, 0, 1, 1)
    assert body["used"] == 2
    assert prices() == {"X1": 3, "X2": 2}
    # rows of different chunks too: the first is written before the second is read
    monkeypatch.setattr("jobs.data.catalog_import.ROWS_PER_CHUNK", 1)
    feed.write_text("external_id,name,price\nX1,Third,4\nX2,Other,2\nX1,Third,5\n")
    body = run(serve, feed).json()
    assert body["repeated_rows"] == [{"row": 2, "external_id": "X1", "replaced_by": 4}]
    assert (body["updated"], body["unchanged"]) == (2, 1)
    assert prices()["X1"] == 5


@pytest.mark.parametrize("name", ["feed.csv", "feed.parquet", "feed.jsonl"])
def test_whole_numbers_and_ids_may_be_floats_in_every_format(
    env: object, serve: Serve, tmp_path: Path, name: str
) -> None:
    frame = pd.DataFrame(
        {
            "external_id": [9001, 9002],
            "name": ["Cup", 1984],
            "price": [9.99, 5.0],
            "quantity": [3.0, None],
            "is_active": [1.0, 0.0],
        }
    )
    if name == "feed.parquet":
        frame.assign(name=["Cup", "1984"], external_id=[9001.0, 9002.0]).to_parquet(tmp_path / name)
    elif name == "feed.csv":
        # with pandas' index, a column without a name
        frame.to_csv(tmp_path / name)
    else:
        frame.drop(columns="quantity").assign(quantity=[3.0, 0.0]).to_json(
            tmp_path / name, orient="records", lines=True
        )
    body = run(serve, tmp_path / name).json()
    assert (body["created"], body["rejected"]) == (2, 0), body
    rows = postgres.read("SELECT external_id, name, price, quantity, is_active FROM products ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        ("9001", "Cup", Decimal("9.99"), 3, True),
        ("9002", "1984", Decimal("5.00"), 0, False),
    ]


@pytest.mark.parametrize("name", ["feed.csv", "feed.csv.gz", "feed.tsv"])
def test_a_spreadsheets_file_is_read_without_parameters(env: object, serve: Serve, tmp_path: Path, name: str) -> None:
    separator = "\t" if name == "feed.tsv" else ";"
    rows = [["SKU", "Title", "Price", "Qty", ""], ["D1", 'Schüssel 5" groß', "1.299,00", "4", ""], [""] * 5]
    text = "\r\n".join(separator.join(row) for row in rows).encode("cp1252")
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    body = run(serve, tmp_path / name).json()
    assert (body["rows"], body["created"]) == (1, 1), body
    assert body["read_as"] == {"separator": separator, "encoding": "windows-1252", "decimal": ","}
    stored = postgres.read("SELECT external_id, name, price, quantity FROM products")[0]
    assert tuple(stored) == ("D1", 'Schüssel 5" groß', Decimal("1299.00"), 4)


def test_columns_are_read_by_a_mapping_and_the_others_are_named(env: object, serve: Serve, tmp_path: Path) -> None:
    for name, content in (
        ("feed.csv", "Slug,Caption,Cost,Status\nh1,Shirt,39.00,active\n"),
        ("feed.jsonl", '{"Slug": "h1", "Caption": "Shirt", "Cost": 39, "Status": "active"}\n'),
    ):
        (tmp_path / name).write_text(content)
        answer = run(serve, tmp_path / name, columns="external_id:Slug,name:Caption,price:Cost")
        assert answer.status_code == 200, answer.text
        assert answer.json()["ignored_columns"] == ["Status"]
    assert prices() == {"h1": Decimal("39.00")}
    refused = run(serve, tmp_path / "feed.csv")
    assert refused.status_code == 422
    assert "unknown column 'Slug'" in refused.json()["detail"]
    assert "columns=" in refused.json()["detail"]


def test_a_feed_without_usable_rows_is_a_problem_with_the_reasons(env: object, serve: Serve, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER + "a,A,Free,,,\nb,B,1_000,,,\n")
    answer = run(serve, feed)
    assert answer.status_code == 422
    assert "price must be a number such as 12.50: 2 rows, the first in row 2" in answer.json()["detail"]
    assert [error["row"] for error in answer.json()["row_errors"]] == [2, 3]
    feed.write_text(HEADER + ",,,,,\n")
    assert "no rows" in run(serve, feed).json()["detail"]
    assert prices() == {}
