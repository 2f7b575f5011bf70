"""Pulling Medusa: its cursor, against a server that answers lists as Medusa's APIs do.

tests/e2e/test_medusa.py does it with a real Medusa.
"""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from jobs.data import medusa as pulling
from jobs.data.medusa_api import OVERLAP, PAGE
from shared.clients import postgres
from tests.integration.conftest import Serve, settings_of
from tests.integration.people import as_admin

KEY = "sk_of-medusa-0123456789"
START = datetime(2026, 3, 1, tzinfo=UTC)


def stamp(minutes: int) -> str:
    return (START + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Medusa(ThreadingHTTPServer):
    """Lists by ``order``, ``limit``, ``offset`` and ``updated_at[$gte]``. ``before`` runs before each answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.broken_after: int | None = None
        self.lists: dict[str, list[dict[str, Any]]] = {
            "products": [],
            "orders": [],
            "api_keys": [{"id": "apk_1", "token": "pk_1", "revoked_at": None, "sales_channels": [{"id": "sc_1"}]}],
            "regions": [{"id": "reg_us", "currency_code": "usd"}, {"id": "reg_eu", "currency_code": "eur"}],
            "product_categories": [{"id": "pcat_1", "name": "Lamps", "parent_category_id": None}],
        }
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def pages(self, name: str) -> list[dict[str, str]]:
        """Return the queries of pages of a list since the last call."""
        found = [query for path, query in self.requests if path.endswith(name) and query["order"] == "id"]
        self.requests.clear()
        return found

    def put_product(self, number: int, minutes: int, *skus: str, price: float = 10) -> None:
        offer = {"calculated_amount": price, "original_amount": price, "currency_code": "eur"}
        product = {
            "id": f"prod_{number:04}",
            "title": f"Lamp {number}",
            "updated_at": stamp(minutes),
            "categories": [{"id": "pcat_1"}],
            "variants": [
                {"id": f"variant_{sku}", "sku": sku, "manage_inventory": False, "calculated_price": offer}
                for sku in skus or (f"LAMP{number}",)
            ],
        }
        self.remove_product(number)
        self.lists["products"].append(product)

    def remove_product(self, number: int) -> None:
        kept = [product for product in self.lists["products"] if product["id"] != f"prod_{number:04}"]
        self.lists["products"] = kept

    def put_order(self, number: int, minutes: int, sku: str, **fields: Any) -> None:
        items = [{"id": f"ordli_{number}", "variant_sku": sku, "quantity": 1, "unit_price": 10}]
        order = {"id": f"order_{number:04}", "customer_id": f"cus_{number}", "created_at": stamp(0), "items": items}
        kept = [each for each in self.lists["orders"] if each["id"] != order["id"]]
        self.lists["orders"] = [*kept, order | {"status": "pending", "updated_at": stamp(minutes)} | fields]


class Answers(BaseHTTPRequestHandler):
    server: Medusa

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        self.server.requests.append((parts.path, query))
        if parts.path.startswith("/store/"):
            is_allowed = self.headers.get("x-publishable-api-key") == "pk_1" and "Authorization" not in self.headers
        else:
            basic = base64.b64encode(f"{KEY}:".encode()).decode()
            is_allowed = self.headers.get("Authorization") == f"Basic {basic}"
        broken = self.server.broken_after is not None and int(query.get("offset", 0)) >= self.server.broken_after
        if not is_allowed or broken:
            self.send_error(500 if is_allowed else 401)
            return
        name = parts.path.rpartition("/")[2].replace("-", "_")
        since = query.get("updated_at[$gte]")
        rows = [
            row
            for row in self.server.lists[name]
            if since is None or datetime.fromisoformat(row["updated_at"]) >= datetime.fromisoformat(since)
        ]
        field = query["order"].lstrip("-")
        rows.sort(key=lambda row: row[field], reverse=query["order"].startswith("-"))
        offset, limit = int(query["offset"]), int(query["limit"])
        body = json.dumps({name: rows[offset : offset + limit], "count": len(rows)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Shop:
    """Aisle with a feed of the server."""

    def __init__(self, serve: Serve, server: Medusa) -> None:
        self.admin, self.job, self.server = as_admin(serve("admin")), serve("import_feeds"), server
        assert self.admin.patch("/admin/shop", json={"currency": "EUR"}).status_code == 200
        feed = {"name": "Medusa", "preset": "medusa", "url": server.url, "credentials": "aisle-feed-medusa"}
        answer = self.admin.post("/admin/feeds", json=feed)
        assert answer.status_code == 201, answer.text
        self.feed_id = answer.json()["id"]

    def pull(self) -> tuple[str, str]:
        """Run the job as if the feed was due, and return how it went."""
        postgres.write("UPDATE feeds SET next_run_at = now() - interval '1 second'")
        assert self.job.post("/").status_code == 200
        feed = self.admin.get(f"/admin/feeds/{self.feed_id}").json()
        return feed["last_outcome"], feed["last_detail"]

    def age(self) -> None:
        """Let the last full pass be long ago."""
        old = (datetime.now(UTC) - pulling.FULL_EVERY).isoformat()
        postgres.write(
            "UPDATE feeds SET cursor = jsonb_set(cursor, '{products,full_at}', to_jsonb(cast(:at AS text)))", at=old
        )


@pytest.fixture
def shop(env: dict[str, str], serve: Serve) -> Iterator[Shop]:
    secrets = f"aisle-feed-medusa={KEY}"
    with settings_of(env | {"ALLOW_PRIVATE_SOURCES": "true", "FEED_SECRETS": secrets}), Medusa() as server:
        yield Shop(serve, server)
        server.shutdown()


def shown() -> dict[str, float]:
    rows = postgres.read("SELECT external_id, price FROM products WHERE is_active ORDER BY 1")
    return {row[0]: float(row[1]) for row in rows}


def published() -> list[tuple[str, str]]:
    """Return user and types of the messages of events, oldest first."""
    found = postgres.read(
        "SELECT attributes ->> 'user_id', attributes ->> 'event_types' FROM outbox WHERE topic = 'user-events' "
        "ORDER BY id"
    )
    return [(row[0], row[1]) for row in found]


def test_a_pull_reads_everything_once_and_then_what_changed(shop: Shop) -> None:
    server = shop.server
    for number in range(2 * PAGE + 1):
        server.put_product(number, 10 if number == 5 else 0)
    server.put_order(1, 0, "LAMP1")
    assert shop.pull() == (
        "imported",
        f"{2 * PAGE + 1} created, 0 changed, 0 variants refused; 0 hidden; 1 orders.",
    )
    assert [query.get("updated_at[$gte]") for query in server.pages("/products")] == [None] * 3
    row = postgres.read(
        "SELECT p.item_group_id, p.currency, c.name FROM products p JOIN categories c ON c.id = p.category_id "
        "WHERE external_id = 'LAMP1'"
    )[0]
    assert tuple(row) == ("prod_0001", "EUR", "Lamps")
    assert published() == [("cus_1", "purchase")]
    # a change of a product and one of an order
    server.put_product(7, 60, price=12)
    server.put_order(2, 60, "LAMP2")
    assert shop.pull() == ("imported", "0 created, 1 changed, 0 variants refused; 0 hidden; 2 orders.")
    (query,) = server.pages("/products")
    assert datetime.fromisoformat(query["updated_at[$gte]"]) == START + timedelta(minutes=10) - OVERLAP
    assert (shown()["LAMP7"], shown()["LAMP8"]) == (12, 10)
    assert published()[-1] == ("cus_2", "purchase")


def test_a_pull_of_nothing_new_costs_nothing(shop: Shop) -> None:
    shop.server.put_product(1, 0)
    shop.pull()
    # once more: a change that was being written may have an older time
    assert shop.pull() == ("imported", "0 created, 0 changed, 0 variants refused; 0 hidden; 0 orders.")
    shop.server.pages("/products")
    assert shop.pull() == ("unchanged", "Nothing has changed since the last run.")
    assert shop.server.pages("/products") == []
    assert len(shop.admin.get("/admin/imports").json()["imports"]) == 2
    shop.server.put_product(2, 1)
    assert shop.pull()[0] == "imported"
    assert set(shown()) == {"LAMP1", "LAMP2"}


def test_a_pull_that_breaks_off_continues_where_it_was(shop: Shop) -> None:
    server = shop.server
    for number in range(3 * PAGE):
        server.put_product(number, 0)
    server.broken_after = 2 * PAGE - 1
    outcome, detail = shop.pull()
    assert (outcome, len(shown())) == ("failed", 2 * PAGE)
    assert "/store/products" in detail
    assert KEY not in detail
    server.pages("/products")
    server.broken_after = None
    assert shop.pull()[1].startswith(f"{PAGE} created, 0 changed")
    assert [query["offset"] for query in server.pages("/products")] == [str(2 * PAGE - 1), str(3 * PAGE - 1)]
    assert len(shown()) == 3 * PAGE


def test_a_deletion_during_a_pass_hides_no_other_product_from_it(shop: Shop) -> None:
    server = shop.server
    for number in range(2 * PAGE):
        server.put_product(number, 0)
    server.broken_after = PAGE - 1
    assert shop.pull()[0] == "failed"
    # without a second look, the first product of the next page would be the last one of this page
    server.remove_product(0)
    server.broken_after = None
    shop.pull()
    last = str(PAGE - 1)
    assert [query["offset"] for query in server.pages("/products")] == ["0", last, last, "0", last]
    # this pass had seen the product before it was deleted; the next one hides it
    assert set(shown()) == {f"LAMP{number}" for number in range(2 * PAGE)}
    shop.age()
    shop.pull()
    assert set(shown()) == {f"LAMP{number}" for number in range(1, 2 * PAGE)}


def test_variants_and_products_that_are_gone_are_hidden_and_come_back(shop: Shop) -> None:
    postgres.write("INSERT INTO products (external_id, name, price, item_group_id) VALUES ('api', 'X', 1, 'prod_0001')")
    for number in range(2, 12):
        shop.server.put_product(number, 0)
    shop.server.put_product(1, 0, "S", "M")
    shop.pull()
    shop.server.put_product(1, 60, "S", "L")
    assert shop.pull()[1] == "1 created, 0 changed, 0 variants refused; 1 hidden; 0 orders."
    # "api" was there before the feed
    assert {"api", "S", "L", "LAMP2"} <= set(shown())
    assert "M" not in shown()
    shop.server.put_product(1, 120, "S", "M", "L")
    shop.server.remove_product(2)
    shop.pull()
    # a product that is gone is found when everything is read
    assert {"M", "LAMP2"} <= set(shown())
    shop.age()
    assert shop.pull()[1] == "0 created, 0 changed, 0 variants refused; 1 hidden; 0 orders."
    assert set(shown()) == {"api", "S", "M", "L", *(f"LAMP{number}" for number in range(3, 12))}


def test_the_guard_stops_hiding(shop: Shop) -> None:
    for number in range(10):
        shop.server.put_product(number, 0)
    shop.pull()
    for number in range(3):
        shop.server.remove_product(number)
    shop.age()
    assert "3 of 10 products are missing" in shop.pull()[1]
    assert len(shown()) == 10


def test_a_canceled_order_is_refunded(shop: Shop) -> None:
    shop.server.put_product(1, 0)
    shop.server.put_order(1, 0, "LAMP1")
    shop.pull()
    shop.server.put_order(1, 60, "LAMP1", status="canceled")
    shop.pull()
    assert published() == [("cus_1", "purchase"), ("cus_1", "purchase"), ("cus_1", "refund")]


def test_an_order_that_cannot_be_reported_is_shown(shop: Shop) -> None:
    shop.server.put_product(1, 0)
    shop.server.put_order(1, 0, "LAMP1", created_at=stamp(0).replace("2026", "1926"))
    shop.server.put_order(2, 0, "LAMP1")
    assert "1 reports of orders were refused" in shop.pull()[1]
    (rejected,) = shop.admin.get("/admin/rejected-events").json()["entries"]
    assert "2000" in rejected["reason"]
    assert published() == [("cus_2", "purchase")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"credentials": "aisle-feed-other"}, "FEED_SECRETS has no line"),
        ({"url": "/nowhere"}, "cannot be read"),
    ],
)
def test_a_pull_that_cannot_begin_says_why(shop: Shop, change: dict[str, str], reason: str) -> None:
    if "url" in change:
        change = {"url": shop.server.url + change["url"]}
    assert shop.admin.patch(f"/admin/feeds/{shop.feed_id}", json=change).status_code == 200
    outcome, detail = shop.pull()
    assert outcome == "failed"
    assert reason in detail


def test_a_shop_without_a_region_of_its_currency_is_told(shop: Shop) -> None:
    shop.admin.patch("/admin/shop", json={"currency": "JPY"})
    assert "no region of Medusa has the shop's currency (JPY); its regions have EUR, USD" in shop.pull()[1]
    shop.admin.patch(f"/admin/feeds/{shop.feed_id}", json={"url": shop.server.url + "?region_id=reg_us"})
    shop.server.pages("/products")
    shop.pull()
    assert [query["region_id"] for query in shop.server.pages("/products")] == ["reg_us"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"columns": "name:title"}, "columns"),
        ({"credentials": None}, "credentials"),
        ({"url": "gs://bucket/medusa"}, "url"),
        ({"format": "csv"}, "format"),
    ],
)
def test_a_feed_of_medusa_has_an_address_and_a_key_and_no_options_of_files(
    shop: Shop, change: dict[str, Any], field: str
) -> None:
    answer = shop.admin.patch(f"/admin/feeds/{shop.feed_id}", json=change)
    assert answer.status_code == 422
    assert field in answer.text
