"""Bulk imports: a report for each row; bad rows do not keep out the others."""

import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pytest

from shared.clients.postgres import read
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes
from tests.integration.products.conftest import catalog_state

JSON_LINES = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv; charset=utf-8"}


def lines(*rows: Any) -> bytes:
    return b"\n".join(row if isinstance(row, bytes) else orjson.dumps(row) for row in rows)


def test_json_lines_create_and_change_and_the_report_names_bad_rows(
    admin: httpx.Client, shop: dict[str, int], messages: Any
) -> None:
    take = messages("catalog-changes")
    body = lines(
        {"external_id": "N1", "name": "New one", "price": 1, "category": "New > Things"},
        {"external_id": "H2", "name": "Heart renamed", "price": 2},
        {"external_id": "N2", "name": "No price"},
        {"external_id": "N3", "name": "Nowhere", "price": 1, "category_id": 99_999},
        b"{broken",
        {"external_id": "H3", "name": "Heart of Wicker, large", "price": 2.95},
    )
    answer = admin.post("/products/import", content=body, headers=JSON_LINES)
    assert answer.status_code == 200
    report = answer.json()
    assert list(report)[:4] == ["created", "updated", "failed", "errors"]
    assert (report["rows"], report["used"], report["unchanged"], report["repeated"]) == (6, 3, 1, [])
    assert [(entry["count"], entry["rows"]) for entry in report["left_out"]] == [(1, [3]), (1, [5]), (1, [4])]
    assert (report["created"], report["updated"], report["failed"]) == (1, 1, 3)
    assert [(error["row"], error["field"]) for error in report["errors"]] == [(3, "price"), (4, "category_id"), (5, "")]
    assert all(error["message"] for error in report["errors"])
    renamed = admin.get(f"/products/{shop['H2']}").json()
    # what a row does not say stays as it was
    assert (renamed["name"], renamed["price"], renamed["category"], renamed["tags"]) == (
        "Heart renamed",
        2,
        "Decoration",
        ["heart", "wicker"],
    )
    new = read("SELECT id FROM products WHERE external_id = 'N1'")[0][0]
    published = sorted((orjson.loads(message.data) for message in take(2)), key=lambda body: body["change"])
    assert published == [
        {"product_ids": [new], "change": "created"},
        {"product_ids": [shop["H2"]], "change": "updated"},
    ]
    audited = {tuple(row) for row in read("SELECT action, subject, before ->> 'name' FROM audit_log")}
    assert audited == {
        ("product.create", f"product:{new}", None),
        ("product.update", f"product:{shop['H2']}", "Heart of Wicker, small"),
    }


def test_a_csv_with_a_broken_row_loads_the_others(admin: httpx.Client) -> None:
    rows = ["external_id,name,price,tags,quantity", 'A,"Lamp, brass",9.99,metal|brass,4', "B,Lamp,cheap,,", "C,Lamp,1"]
    body = "\n".join([*rows, "D,Läufer,2,,"])
    report = admin.post("/products/import", content=body.encode(), headers=CSV).json()
    assert (report["created"], report["updated"], report["failed"]) == (2, 0, 2)
    assert [error["row"] for error in report["errors"]] == [3, 4]
    [lamp] = admin.get("/products", params={"search": "brass lamp"}).json()["products"]
    assert (lamp["name"], lamp["price"], lamp["tags"], lamp["quantity"]) == ("Lamp, brass", 9.99, ["metal", "brass"], 4)


def test_ten_thousand_rows_load_and_one_more_is_too_many(admin: httpx.Client) -> None:
    rows = [
        {"external_id": f"B{number}", "name": f"Bulk {number}", "price": number % 90, "tags": ["bulk"]}
        for number in range(10_000)
    ]
    report = admin.post("/products/import", content=lines(*rows), headers=JSON_LINES).json()
    assert (report["created"], report["updated"], report["failed"], report["errors"]) == (10_000, 0, 0, [])
    assert admin.get("/products", params={"tags": "bulk"}).json()["total"] == 10_000
    before = catalog_state()
    second = admin.post("/products/import", content=lines(*rows), headers=JSON_LINES).json()
    assert (second["created"], second["updated"], second["failed"], second["unchanged"]) == (0, 0, 0, 10_000)
    answer = admin.post("/products/import", content=lines(*rows, {"name": "x", "price": 1}), headers=JSON_LINES)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:aisle:problem:invalid-request")
    assert catalog_state() == before


def test_an_invalid_feed_changes_nothing(admin: httpx.Client) -> None:
    before = catalog_state()
    for body, headers, status in (
        (b"", JSON_LINES, 422),
        (b"\n\n", JSON_LINES, 422),
        (b"", CSV, 422),
        (b"colour,size\nred,1\n", CSV, 422),
        (b"name,name,price\na,b,1\n", CSV, 422),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"{}", {}, 415),
        (b" " * (33_554_432 + 1), JSON_LINES, 413),
    ):
        answer = admin.post("/products/import", content=body, headers=headers)
        assert answer.status_code == status, (body[:20], headers)
        assert answer.headers["content-type"] == "application/problem+json"
    assert catalog_state() == before


def test_two_rows_of_one_product_are_written_in_turn(admin: httpx.Client) -> None:
    body = lines({"external_id": "T", "name": "First", "price": 1}, {"external_id": "T", "name": "Second", "price": 2})
    report = admin.post("/products/import", content=body, headers=JSON_LINES).json()
    assert (report["rows"], report["used"], report["created"], report["unchanged"], report["failed"]) == (2, 1, 1, 0, 0)
    assert report["repeated"] == [{"row": 1, "external_id": "T", "replaced_by": 2}]
    assert [tuple(row) for row in read("SELECT name, price::float FROM products WHERE external_id = 'T'")] == [
        ("Second", 2.0)
    ]


FILE = 'sep=;\r\nSKU;Title;Price;Stock;\r\nSP1;Schüssel groß;12,50;4.0;\r\n;;;;\r\nSP2;Frame 5" wide;1.299,00;;\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_spreadsheets_file_is_read_without_parameters(admin: httpx.Client, encoding: str) -> None:
    report = admin.post("/products/import", content=FILE.encode(encoding), headers=CSV).json()
    assert (report["rows"], report["created"], report["failed"]) == (2, 2, 0), report
    stored = read(
        "SELECT external_id, name, price::float, quantity FROM products WHERE external_id LIKE 'SP_' ORDER BY 1"
    )
    assert [tuple(row) for row in stored] == [("SP1", "Schüssel groß", 12.5, 4), ("SP2", 'Frame 5" wide', 1299.0, 0)]


def test_parameters_set_columns_separator_encoding_and_decimal_mark(admin: httpx.Client) -> None:
    body = "Handle|Title|Net price|Colour\nP1|Größe M|1,250|red\n".encode("mac_roman")
    answer = admin.post(
        "/products/import",
        params={
            "columns": "external_id:Handle,name:Title,price:Net price",
            "separator": "|",
            "encoding": "macintosh",
            "decimal": ".",
        },
        content=body,
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 200, answer.text
    assert (answer.json()["created"], answer.json()["ignored_columns"]) == (1, ["Colour"])
    stored = read("SELECT name, price::float FROM products WHERE external_id = 'P1'")[0]
    assert tuple(stored) == ("Größe M", 1250.0)
    charset = "A;B\n".replace("A", "name").replace("B", "price") + "Größe L;3\n"
    by_header = admin.post(
        "/products/import", content=charset.encode("mac_roman"), headers={"Content-Type": "text/csv; charset=macintosh"}
    )
    assert by_header.json()["created"] == 1
    assert read("SELECT count(*) FROM products WHERE name = 'Größe L'")[0][0] == 1


@pytest.mark.parametrize(
    "parameters",
    [{"columns": "nmae:Title"}, {"separator": "ab"}, {"encoding": "klingon"}, {"decimal": ";"}, {"sauce": "1"}],
)
def test_an_invalid_parameter_is_named(admin: httpx.Client, parameters: dict[str, str]) -> None:
    answer = admin.post("/products/import", params=parameters, content=b"name,price\nA,1\n", headers=CSV)
    assert answer.status_code == 422
    assert next(iter(parameters)) in answer.text


def test_one_key_with_other_parameters_is_another_request(admin: httpx.Client) -> None:
    headers = CSV | {"Idempotency-Key": "import-1"}
    body = b"name;price\nA;1,5\n"
    assert admin.post("/products/import", content=body, headers=headers).status_code == 200
    second = admin.post("/products/import", content=body, headers=headers)
    assert second.headers["idempotent-replayed"] == "true"
    with_parameter = admin.post("/products/import", params={"decimal": ","}, content=body, headers=headers)
    assert with_parameter.json()["type"] == "urn:aisle:problem:idempotency-key-reused"


def test_gzip_is_unpacked_up_to_a_limit(admin: httpx.Client) -> None:
    csv = b"external_id,name,price\nG1,Cup,1\n"
    for body, headers in (
        (csv, CSV | {"Content-Encoding": "gzip"}),
        (csv, {"Content-Type": "application/gzip"}),
        (b'{"external_id": "G1", "name": "Cup", "price": 2}', {"Content-Type": "application/gzip"}),
        (b'{"external_id": "G1", "name": "Cup", "price": 3}', JSON_LINES | {"Content-Encoding": "gzip"}),
    ):
        # in two members, as `cat a.gz b.gz` makes them
        packed = gzip.compress(body[:10]) + gzip.compress(body[10:])
        report = admin.post("/products/import", content=packed, headers=headers).json()
        assert report["rows"] == report["used"] == 1, report
    assert read("SELECT price::float FROM products WHERE external_id = 'G1'")[0][0] == 3
    before = catalog_state()
    for body, headers, status in (
        (gzip.compress(b" " * (33_554_432 + 1)), JSON_LINES | {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(csv)[:-9], CSV | {"Content-Encoding": "gzip"}, 422),
        (csv, CSV | {"Content-Encoding": "gzip"}, 422),
        (csv, CSV | {"Content-Encoding": "br"}, 415),
    ):
        answer = admin.post("/products/import", content=body, headers=headers)
        assert answer.status_code == status, answer.text
    assert catalog_state() == before


def test_imports_changes_and_refreshes_of_the_same_products_at_once_do_not_stop_each_other(
    admin: httpx.Client, shop: dict[str, int], deliver: Callable[..., httpx.Response]
) -> None:
    def write(number: int) -> int:
        if number % 3 == 0:
            return deliver({"product_ids": list(shop.values()), "change": "updated"}).status_code
        if number % 3 == 1:
            return admin.patch(f"/products/{shop['H2']}", json={"price": number, "category": f"C{number}"}).status_code
        existing = [{"external_id": code, "name": f"{code} {number}", "price": 1} for code in sorted(shop)]
        new = [{"external_id": f"{number}-{index}", "name": f"Heart {index}", "price": 1} for index in range(20)]
        rows = [*new, *existing] if number % 2 else [*existing, *new]
        if number % 4 == 0:
            # what the job import_catalog does
            bulk_writes.import_products([ProductWrite.model_validate(row) for row in rows])
            return 200
        return admin.post("/products/import", content=lines(*rows), headers=JSON_LINES).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(write, range(60))) == {200}
    for _ in range(2):
        deliver({"product_ids": [row[0] for row in read("SELECT id FROM products")], "change": "updated"})
    counts = read("SELECT word, count(*) FROM product_words, unnest(words) AS word GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in counts] == [
        tuple(row) for row in read("SELECT word, products FROM search_words ORDER BY word")
    ]
