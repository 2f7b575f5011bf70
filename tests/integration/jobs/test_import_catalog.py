"""The job that takes a catalog feed."""

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pandas as pd
import pytest

from shared.clients import postgres

Serve = Callable[[str], httpx.Client]
HEADER = "external_id,name,price,category,tags,quantity\n"


def run(serve: Serve, source: Path | str, **parameters: Any) -> httpx.Response:
    return serve("import_catalog").post("/", json={"source": str(source), **parameters})


def prices() -> dict[str, Decimal]:
    return {row[0]: row[1] for row in postgres.read("SELECT external_id, price FROM products")}


def test_a_feed_makes_changes_and_leaves_products_and_tells_of_it(
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
    told = [orjson.loads(one.data) for one in take(3)]
    assert sorted((body["change"], len(body["product_ids"])) for body in told) == [
        ("created", 1),
        ("created", 2),
        ("updated", 1),
    ]
    found = postgres.read("SELECT c.name, p.tags, p.quantity FROM products p JOIN categories c ON c.id = p.category_id")
    assert [tuple(row) for row in found] == [("Candles", ["red", "blue"], 5)]


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
def test_a_file_that_is_no_feed_is_one_clear_problem(
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
