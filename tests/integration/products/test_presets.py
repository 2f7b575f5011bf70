"""Exports of shop systems by POST: a dry run says how a file is read and stores nothing."""

import gzip
from typing import Any

import httpx
import pytest

from shared.clients.postgres import read
from tests.integration.products.conftest import catalog_state

CSV = {"Content-Type": "text/csv"}
SHOPIFY = (
    b"Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,"
    b"Variant Inventory Qty,Variant Price,Image Src,Status\n"
    b'linen-shirt,Linen Shirt,"<p>Soft, <b>light</b>\nlinen</p>",Nordhem,Shirts,"summer, linen",TRUE,Size,S,LS-S,4,'
    b"39.00,https://cdn.example.com/a.jpg,active\n"
    b"linen-shirt,,,,,,,,M,LS-M,0,39.00,,\n"
    b"linen-shirt,,,,,,,,XL,LS-XL,0,free,,\n"
    b"linen-shirt,,,,,,,,,,,,https://cdn.example.com/b.jpg,\n"
)
RSS = (
    b'<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>M1</g:id>'
    b"<g:title>Merchant cup</g:title><g:price>3.50 EUR</g:price><g:availability>in_stock</g:availability></item>"
    b"</channel></rss>"
)


def stored(*external_ids: str) -> list[tuple[Any, ...]]:
    rows = read(
        "SELECT external_id, name, description, price::float8, quantity FROM products "
        "WHERE external_id = ANY (cast(:ids AS text[])) ORDER BY external_id",
        ids=list(external_ids),
    )
    return [tuple(row) for row in rows]


def test_a_dry_run_says_how_a_file_is_read_and_stores_nothing(admin: httpx.Client, shop: dict[str, int]) -> None:
    before = catalog_state()
    preview = admin.post("/products/import?dry_run=true", content=SHOPIFY, headers=CSV)
    assert preview.status_code == 200
    report = preview.json()
    assert catalog_state() == before
    assert (report["dry_run"], report["preset"], report["read_as"]["separator"]) == (True, "shopify", ",")
    assert (report["rows"], report["used"], report["failed"], report["created"]) == (3, 2, 1, 0)
    assert report["columns"]["price"] == "Variant Price"
    assert report["ignored_columns"] == ["Option1 Name"]
    assert [(error["row"], error["field"]) for error in report["errors"]] == [(5, "price")]
    assert report["skipped"][0]["rows"] == [6]
    assert [product["external_id"] for product in report["preview"]] == ["LS-S", "LS-M"]
    assert report["preview"][1]["description"] == "Soft, light linen"
    # the import itself stores what the dry run showed
    done = admin.post("/products/import", content=SHOPIFY, headers=CSV).json()
    assert (done["dry_run"], done["created"], done["preview"]) == (False, 2, [])
    assert stored("LS-S", "LS-M", "LS-XL") == [
        ("LS-M", "Linen Shirt", "Soft, light linen", 39.0, 0),
        ("LS-S", "Linen Shirt", "Soft, light linen", 39.0, 4),
    ]


@pytest.mark.parametrize(
    ("media_type", "pack"), [("application/xml", False), ("text/xml", False), ("application/gzip", True)]
)
def test_a_feed_in_xml_is_taken(admin: httpx.Client, shop: dict[str, int], media_type: str, pack: bool) -> None:
    body = gzip.compress(RSS, mtime=0) if pack else RSS
    answer = admin.post("/products/import", content=body, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["preset"]) == (200, "google")
    assert stored("M1") == [("M1", "Merchant cup", "", 3.5, 1)]


def test_json_ld_is_taken(admin: httpx.Client, shop: dict[str, int]) -> None:
    product = {"@type": "Product", "sku": "L1", "name": "Cup", "offers": {"price": 3, "availability": "InStock"}}
    answer = admin.post("/products/import", json=product, headers={"Content-Type": "application/ld+json"})
    assert (answer.status_code, answer.json()["preset"]) == (200, "jsonld")
    assert stored("L1") == [("L1", "Cup", "", 3.0, 1)]


@pytest.mark.parametrize(
    ("body", "media_type", "says"),
    [
        (b"<!DOCTYPE html><html><body>Please log in</body></html>", "text/csv", "login"),
        (b"<!DOCTYPE html><html><body>Please log in</body></html>", "application/xml", "login"),
        (RSS[:40], "application/xml", "not well-formed"),
        (gzip.compress(RSS, mtime=0)[:60], "application/gzip", "not valid gzip"),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><rss>&a;</rss>', "application/xml", "entity"),
        (b"", "text/csv", "no rows"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "text/csv", "a PNG image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "text/csv", "a JPEG image"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "text/csv", "a PDF document"),
        (b"PK\x03\x04\x14\x00", "text/csv", "a zip archive"),
    ],
)
def test_what_is_no_feed_is_refused_by_name(
    admin: httpx.Client, shop: dict[str, int], body: bytes, media_type: str, says: str
) -> None:
    before = catalog_state()
    answer = admin.post("/products/import", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert catalog_state() == before


def test_options_are_checked(admin: httpx.Client) -> None:
    for query, says in (("preset=shopware", "preset"), ("preset=google&columns=handle:x", "columns")):
        answer = admin.post(f"/products/import?{query}", content=SHOPIFY, headers=CSV)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(says)
