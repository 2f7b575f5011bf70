"""Feeds in XML: items of RSS and entries of Atom, and nothing that a hostile file declares."""

from typing import Any

import pytest

from shared.errors import InvalidRequest
from shared.tables.products import Feed, parse_products, shown
from shared.tables.text_files import MAX_RECORD_BYTES
from shared.tables.xml_feeds import xml_items

RSS = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>The shop</title>
<item>
  <title>Plain title</title><g:title>Linen &amp; Shirt</g:title><g:id>A1</g:id>
  <g:description><![CDATA[<p>Soft <b>linen</b></p>]]></g:description>
  <g:price>39.00 EUR</g:price><g:sale_price>29.00 EUR</g:sale_price>
  <g:image_link>https://shop.example/a.jpg</g:image_link><g:availability>in stock</g:availability>
  <g:product_type>Shirts &gt; Linen</g:product_type>
  <g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping>
</item>
<item><g:id>A2</g:id><g:title>Cup</g:title><g:price>3 EUR</g:price><g:availability>out_of_stock</g:availability></item>
<item><g:id>A3</g:id><g:price>3 EUR</g:price></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<entry><g:id>B1</g:id><title>Cup</title><summary>A cup</summary><link href="https://shop.example/b"/>
<g:price>1.299,00 EUR</g:price></entry></feed>"""


def parse(text: str | bytes) -> Feed:
    return parse_products(text.encode() if isinstance(text, str) else text, "xml")


def test_items_of_rss_become_products() -> None:
    feed = parse(RSS)
    first, second = (shown(product) for _row, product in feed.rows)
    assert first["external_id"] == "A1"
    assert (first["name"], first["description"]) == ("Linen & Shirt", "Soft linen")
    # the price of the shipping is not the product's
    assert (first["price"], first["quantity"], first["category"]) == (29.0, 1, "Shirts > Linen")
    assert (second["external_id"], second["quantity"]) == ("A2", 0)
    assert [(error.row, error.field) for error in feed.errors] == [(12, "name")]
    assert feed.catalog.preset.name == "google"
    assert "shipping" in feed.ignored


def test_entries_of_atom_become_products() -> None:
    feed = parse(ATOM)
    assert [shown(product) for _row, product in feed.rows] == [
        shown(feed.rows[0][1]) | {"external_id": "B1", "name": "Cup", "description": "A cup", "price": 1299.0}
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1252", "utf-8-sig"])
def test_the_declared_encoding_is_read(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    text = declared + "<rss><item><id>1</id><title>Schlüssel</title><price>1</price></item></rss>"
    assert parse(text.encode(encoding)).rows[0][1].name == "Schlüssel"


def test_declared_entities_are_refused() -> None:
    laughs = '<!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><rss><item><id>&b;</id></item></rss>'
    with pytest.raises(InvalidRequest, match="entity 'a'"):
        parse(laughs)
    with pytest.raises(InvalidRequest, match="entity 'file'"):
        parse('<!DOCTYPE rss [<!ENTITY file SYSTEM "file:///etc/passwd">]><rss><item><id>&file;</id></item></rss>')
    # a document type without entities is harmless
    assert parse("<!DOCTYPE rss><rss><item><id>1</id><title>A</title><price>1</price></item></rss>").rows


def test_a_feed_that_breaks_off_keeps_its_complete_items() -> None:
    feed = parse(RSS[: RSS.index("<item><g:id>A3")])
    assert [product.external_id for _row, product in feed.rows] == ["A1", "A2"]
    [error] = feed.errors
    assert "not well-formed here" in error.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<!DOCTYPE html><html><body>Log in</body></html>", "HTML page, such as a login"),
        ("<rss><channel></channel></rss>", "no <item>"),
        ("<rss", "not well-formed"),
        ("id\ttitle\n", "not well-formed"),
    ],
)
def test_a_file_that_is_no_feed_is_named(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse(text)


def test_xml_that_is_sent_as_csv_is_named() -> None:
    with pytest.raises(InvalidRequest, match="XML, not CSV"):
        parse_products(RSS.encode(), "csv")
    with pytest.raises(InvalidRequest, match="HTML page"):
        parse_products(b"<html><head><title>Sign in</title></head></html>", "csv")


def test_an_items_names_and_addresses_count_as_its_text() -> None:
    def item(children: str) -> Any:
        return next(iter(xml_items([f"<rss><item><id>1</id>{children}</item></rss>".encode()])))[1]

    width = len("<a0000000/>")
    few = "".join(f"<a{number:07}/>" for number in range(1000))
    many = "".join(f"<a{number:07}/>" for number in range(MAX_RECORD_BYTES // (width - 3) + 1))
    assert len(item(few)) == 1001
    assert item(many) == f"is longer than {MAX_RECORD_BYTES} bytes"
    assert item(f'<link href="{"a" * MAX_RECORD_BYTES}"/>') == f"is longer than {MAX_RECORD_BYTES} bytes"


def test_a_file_in_one_block_is_read_as_far_as_its_items_are_wanted() -> None:
    read = xml_items([b"<rss>" + b"<item><id>1</id></item>" * 100_000 + b"<broken"])
    first = next(read)
    # the file's fault is at its end, which nobody has reached
    assert first == (1, {"id": "1"})
    rest = list(read)
    assert len(rest) == 100_000
    assert "not well-formed" in str(rest[-1][1])
