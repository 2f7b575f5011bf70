"""Scheduled feeds, from their routes to the products: the server of the feeds is a real one on this machine."""

import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.clients.test_http_files import FileServer, send
from tests.integration.conftest import Serve, settings_of
from tests.integration.people import as_admin

HEAD = "external_id,name,price\n"


class Feeds:
    """A server whose files change, the admin function, and the job."""

    def __init__(self, serve: Serve, server: FileServer) -> None:
        self.admin = as_admin(serve("admin"))
        self.job, self.server = serve("import_feeds"), server
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}

    def put(self, path: str, body: str | bytes, tag: str | None = None) -> str:
        """Serve a file, with an entity tag if one is given, and return its address."""
        self.files[path] = body.encode() if isinstance(body, str) else body

        def answer(request: BaseHTTPRequestHandler) -> None:
            if tag is not None and request.headers.get("If-None-Match") == tag:
                request.send_response(304)
                request.end_headers()
                return
            request.send_response(200)
            request.send_header("Content-Length", str(len(self.files[path])))
            if tag is not None:
                request.send_header("ETag", tag)
            request.end_headers()
            request.wfile.write(self.files[path])

        self.server.answers[path] = answer
        return self.server.url + path

    def add(self, path: str, body: str | bytes, **settings: Any) -> int:
        """Serve a file and add its feed; returns the feed's id."""
        answer = self.admin.post("/admin/feeds", json={"name": path, "url": self.put(path, body)} | settings)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def run(self) -> dict[str, Any]:
        """Run the job as if every feed was due."""
        postgres.write("UPDATE feeds SET next_run_at = now() - interval '1 second'")
        answer = self.job.post("/")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return {name: body[name] for name in ("imported", "unchanged", "failed")}

    def feed(self, feed_id: int) -> dict[str, Any]:
        body: dict[str, Any] = self.admin.get(f"/admin/feeds/{feed_id}").json()
        return body

    def report(self, feed_id: int) -> dict[str, Any]:
        body: dict[str, Any] = self.admin.get(f"/admin/imports/{self.feed(feed_id)['last_import_id']}").json()
        return body


@pytest.fixture
def feeds(env: dict[str, str], serve: Serve) -> Iterator[Feeds]:
    secrets = "aisle-feed-basic=shop:s3cret-word\naisle-feed-query=?token=s3cret-word"
    with settings_of(env | {"ALLOW_PRIVATE_SOURCES": "true", "FEED_SECRETS": secrets}), FileServer() as server:
        yield Feeds(serve, server)
        server.shutdown()


def shown() -> set[str]:
    return {row[0] for row in postgres.read("SELECT external_id FROM products WHERE is_active")}


def rows(*ids: str) -> str:
    return HEAD + "".join(f"{name},Product {name},1\n" for name in ids)


def test_a_feed_is_imported_and_an_unchanged_one_costs_nothing(feeds: Feeds) -> None:
    feed = feeds.add("/a.csv", rows("a", "b"))
    tagged = feeds.add("/t.csv", rows("t"))
    feeds.put("/t.csv", rows("t"), tag='"1"')
    assert feeds.run() == {"imported": 2, "unchanged": 0, "failed": 0}
    stored = feeds.feed(feed)
    assert (stored["last_outcome"], stored["last_detail"]) == (
        "imported",
        "2 created, 0 changed, 0 rows refused; 0 hidden.",
    )
    report = feeds.report(feed)
    assert (report["kind"], report["state"], report["rows_read"], report["rows_written"]) == ("feed", "succeeded", 2, 2)
    assert report["report"]["preset"] == "aisle"
    # by its content, and by the server's entity tag
    assert feeds.run() == {"imported": 0, "unchanged": 2, "failed": 0}
    assert feeds.server.requests[-1][1]["If-None-Match"] == '"1"'
    assert len(feeds.admin.get("/admin/imports").json()["imports"]) == 2
    feeds.put("/a.csv", rows("a", "b", "c"))
    assert feeds.run() == {"imported": 1, "unchanged": 1, "failed": 0}
    # a change of the settings reads the same file again
    assert feeds.admin.patch(f"/admin/feeds/{tagged}", json={"every_minutes": 60}).status_code == 200
    assert feeds.run() == {"imported": 1, "unchanged": 1, "failed": 0}


def test_an_unchanged_feed_with_dates_of_sales_is_read_again(feeds: Feeds) -> None:
    head = "external_id,name,price,sale_price"
    dated = f"{head},sale_price_effective_date\nd,Dated,10,8,2026-01-01/2099-01-01\n"
    dated_xml = (
        '<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>x</g:id><g:title>X</g:title>'
        "<g:price>10 EUR</g:price><g:sale_price>8 EUR</g:sale_price>"
        "<g:sale_price_effective_date>2026-01-01/2099-01-01</g:sale_price_effective_date></item></channel></rss>"
    )
    for path, body in (("/d.csv", dated), ("/x.xml", dated_xml), ("/u.csv", f"{head}\nu,Undated,10,8\n")):
        feeds.add(path, body)
        feeds.put(path, body, tag='"1"')
    prices = "SELECT external_id, price, list_price FROM products ORDER BY external_id"
    on_sale = [("d", 8, 10), ("u", 8, 10), ("x", 8, 10)]
    assert feeds.run() == {"imported": 3, "unchanged": 0, "failed": 0}
    assert [tuple(row) for row in postgres.read(prices)] == on_sale
    # as a sale that ended meanwhile, the row now means another price than the one stored
    postgres.write("UPDATE products SET price = 9 WHERE external_id IN ('d', 'x')")
    assert feeds.run() == {"imported": 2, "unchanged": 1, "failed": 0}
    assert [tuple(row) for row in postgres.read(prices)] == on_sale


def test_a_feed_whose_settings_change_while_it_runs_is_read_again_by_the_new_ones(feeds: Feeds) -> None:
    feed, bystander = feeds.add("/a.csv", rows("a")), feeds.add("/b.csv", rows("b"))
    serve_file = feeds.server.answers["/a.csv"]

    def answer_and_change(request: BaseHTTPRequestHandler) -> None:
        assert feeds.admin.patch(f"/admin/feeds/{feed}", json={"max_gone_share": 0.5}).status_code == 200
        serve_file(request)

    feeds.server.answers["/a.csv"] = answer_and_change
    assert feeds.job.post("/").json()["imported"] == 2
    feeds.server.answers["/a.csv"] = serve_file
    # due at once, although the file is the same; the other one waits for its time
    answer = feeds.job.post("/").json()
    assert (answer["imported"], answer["unchanged"]) == (1, 0)
    assert feeds.job.post("/").json()["imported"] == 0
    assert (feeds.feed(feed)["last_outcome"], feeds.feed(bystander)["last_outcome"]) == ("imported", "imported")


def test_a_feed_waits_for_its_time_and_while_it_is_paused(feeds: Feeds) -> None:
    feed = feeds.add("/a.csv", rows("a"))
    assert feeds.job.post("/").json()["imported"] == 1
    assert feeds.job.post("/").json() | {"seconds": 0} == {
        "job": "import_feeds",
        "imported": 0,
        "unchanged": 0,
        "failed": 0,
        "left": 0,
        "seconds": 0,
    }
    feeds.admin.patch(f"/admin/feeds/{feed}", json={"is_active": False})
    assert feeds.run() == {"imported": 0, "unchanged": 0, "failed": 0}


def test_products_that_vanish_are_hidden_and_come_back(feeds: Feeds) -> None:
    postgres.write("INSERT INTO products (external_id, name, price) VALUES ('api', 'Of the API', 1), ('a', 'Old', 1)")
    feed = feeds.add("/a.csv", rows("a", *"bcdefghijk"))
    feeds.add("/other.csv", rows("k", "x"))
    feeds.run()
    everything = {"api", "x", *"abcdefghijk"}
    assert shown() == everything
    # of ten own products b and k vanish; the other feed has k too, and a was there before the feed
    feeds.put("/a.csv", rows(*"cdefghij"))
    assert feeds.run()["imported"] == 1
    assert shown() == everything - {"b"}
    vanished = feeds.report(feed)["report"]["vanished"]
    assert (vanished["known"], vanished["gone"], vanished["hidden"], vanished["reason"]) == (10, 2, 1, "")
    feeds.put("/a.csv", rows(*"bcdefghij"))
    feeds.run()
    assert shown() == everything


def test_a_feed_that_says_that_a_product_is_hidden_is_believed(feeds: Feeds) -> None:
    feeds.add("/a.csv", rows(*"abcdefghij"))
    feeds.run()
    feeds.put("/a.csv", rows(*"bcdefghij"))
    feeds.run()
    assert "a" not in shown()
    feeds.put(
        "/a.csv", "external_id,name,price,is_active\na,A,1,false\n" + "".join(f"{n},N,1,true\n" for n in "bcdefghij")
    )
    feeds.run()
    assert shown() == set("bcdefghij")


@pytest.mark.parametrize(("left", "hidden"), [("cdefghij", 2), ("defghij", 0)])
def test_more_than_a_fifth_gone_hides_nothing(feeds: Feeds, left: str, hidden: int) -> None:
    feed = feeds.add("/a.csv", rows(*"abcdefghij"))
    feeds.run()
    feeds.put("/a.csv", rows(*left))
    feeds.run()
    assert len(shown()) == 10 - hidden
    detail = feeds.feed(feed)["last_detail"]
    assert ("max_gone_share" in detail) == (not hidden)
    if not hidden:
        feeds.admin.patch(f"/admin/feeds/{feed}", json={"max_gone_share": 0.5})
        feeds.run()
        assert shown() == set(left)


def test_a_product_whose_row_is_refused_is_not_gone(feeds: Feeds) -> None:
    feed = feeds.add("/a.csv", rows(*"abcdefghij"))
    feeds.run()
    feeds.put("/a.csv", rows(*"cdefghij") + "b,B,free\n")
    feeds.run()
    assert shown() == set("bcdefghij")
    # a row whose id cannot be read may be any product
    feeds.put("/a.csv", rows(*"defghij") + "b,B,1\nc\n")
    feeds.run()
    assert shown() == set("bcdefghij")
    assert "Nothing was hidden" in feeds.feed(feed)["last_detail"]


def test_an_id_that_cannot_be_stored_is_no_obstacle(feeds: Feeds) -> None:
    lines = [{"external_id": name, "name": f"Product {name}", "price": 1} for name in "abcdefghij"]
    feed = feeds.add("/a.jsonl", "\n".join(map(json.dumps, lines)))
    feeds.run()
    lines[0]["external_id"] = "a\0"
    feeds.put("/a.jsonl", "\n".join(map(json.dumps, lines)))
    assert feeds.run()["failed"] == 0
    assert shown() == set("bcdefghij")
    assert [error["row"] for error in feeds.report(feed)["report"]["errors"]] == [1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "login"),
        (b"", "no rows"),
        (HEAD.encode(), "no rows"),
        (gzip.compress(rows(*"abcdefghij").encode(), mtime=0)[:40], "cannot be read"),
        (b"<rss><channel></channel></rss>", "no <item>"),
        (b"Kunde;Umsatz\n1;2\n", "unknown column"),
    ],
)
def test_a_file_that_is_no_feed_changes_nothing_and_says_why(feeds: Feeds, body: bytes, says: str) -> None:
    feed = feeds.add("/a", rows(*"abcdefghij"))
    bystander = feeds.add("/b.csv", rows("x"))
    feeds.run()
    feeds.put("/a", body)
    feeds.put("/b.csv", rows("x", "y"))
    assert feeds.run() == {"imported": 1, "unchanged": 0, "failed": 1}
    assert shown() == set("abcdefghijxy")
    stored = feeds.feed(feed)
    assert stored["last_outcome"] == "failed"
    assert says in stored["last_detail"]
    assert feeds.feed(bystander)["last_outcome"] == "imported"
    # it runs again once the file is right
    feeds.put("/a", rows(*"abcdefghij", "z"))
    assert feeds.run()["imported"] == 1
    assert "z" in shown()


def test_half_a_file_of_a_feed_hides_nothing(feeds: Feeds) -> None:
    feeds.add("/a.xml", "")
    items = [f"<item><id>{n}</id><title>{n}</title><price>1</price></item>" for n in "abcdefghij"]
    feeds.put("/a.xml", f"<rss>{''.join(items)}</rss>")
    feeds.run()
    assert shown() == set("abcdefghij")
    feeds.put("/a.xml", f"<rss>{''.join(items[:9])}<item><id>")
    feeds.run()
    assert shown() == set("abcdefghij")


def test_credentials_come_from_a_secret_and_are_shown_nowhere(feeds: Feeds) -> None:
    first = feeds.add("/a.csv", rows("a"), credentials="aisle-feed-basic")
    second = feeds.add("/b.csv?shop=1", rows("b"), credentials="aisle-feed-query")
    feeds.put("/b.csv?shop=1&token=s3cret-word", rows("b"))
    feeds.run()
    paths = dict(feeds.server.requests)
    assert paths["/a.csv"]["Authorization"].startswith("Basic ")
    assert "Authorization" not in paths["/b.csv?shop=1&token=s3cret-word"]
    missing = feeds.add("/c.csv", rows("c"), credentials="aisle-feed-missing")
    feeds.server.answers.clear()
    feeds.server.answers["/a.csv"] = feeds.server.answers["/b.csv?shop=1&token=s3cret-word"] = lambda request: send(
        request, b"", status=401
    )
    feeds.run()
    assert "401" in feeds.feed(first)["last_detail"]
    assert "aisle-feed-missing" in feeds.feed(missing)["last_detail"]
    for path in ("/admin/feeds", f"/admin/feeds/{second}", "/admin/imports", "/admin/audit-log", "/admin/jobs"):
        answer = feeds.admin.get(path)
        assert (answer.status_code, "s3cret-word" in answer.text) == (200, False)
    assert "s3cret-word" not in str(feeds.report(first))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "https://user:word@x.example/a.csv"}, "aisle-feed-"),
        ({"url": "https://x.example/a.csv?api_key=1"}, "api_key"),
        ({"url": "https://x.example/a.csv?download_token=1"}, "download_token"),
        ({"url": "ftp://x.example/a.csv"}, "https://"),
        ({"url": "file:///etc/passwd"}, "https://"),
        ({"credentials": "aisle-token-keys"}, "aisle-feed-"),
        ({"credentials": "user:password"}, "not the secret itself"),
        ({"preset": "shopware"}, "presets are"),
        ({"columns": "nothing:x"}, "there is no field"),
        ({"every_minutes": 14}, "15"),
        ({"max_gone_share": 1.1}, "1"),
    ],
)
def test_a_wrong_feed_is_refused_with_the_remedy(feeds: Feeds, settings: dict[str, Any], says: str) -> None:
    given = {"name": "A", "url": "https://x.example/a.csv?page=1"} | settings
    answer: httpx.Response = feeds.admin.post("/admin/feeds", json=given)
    assert answer.status_code == 422
    assert says in answer.text
    assert ":word@" not in answer.text
    assert feeds.admin.get("/admin/feeds").json() == {"feeds": []}


def test_feeds_are_changed_and_deleted_with_an_audit(feeds: Feeds) -> None:
    feed = feeds.add("/a.csv", rows("a"))
    feeds.run()
    changed = feeds.admin.patch(f"/admin/feeds/{feed}", json={"name": "New", "columns": "name:name"}).json()
    assert (changed["name"], changed["columns"], changed["every_minutes"]) == ("New", "name:name", 1440)
    assert feeds.admin.patch(f"/admin/feeds/{feed}", json={"every_minutes": 1}).status_code == 422
    assert feeds.admin.delete(f"/admin/feeds/{feed}").status_code == 204
    assert feeds.admin.get(f"/admin/feeds/{feed}").status_code == 404
    assert feeds.admin.delete(f"/admin/feeds/{feed}").status_code == 404
    assert shown() == {"a"}
    actions = [entry["action"] for entry in feeds.admin.get("/admin/audit-log").json()["entries"]]
    assert sorted(action for action in actions if action.startswith("feed.")) == [
        "feed.add",
        "feed.change",
        "feed.delete",
    ]


def test_a_feed_on_a_private_address_is_refused(env: dict[str, str], feeds: Feeds) -> None:
    feed = feeds.add("/a.csv", rows("a"))
    with settings_of(env | {"ALLOW_PRIVATE_SOURCES": "false"}):
        assert feeds.run()["failed"] == 1
    assert "not a public address" in feeds.feed(feed)["last_detail"]
    assert shown() == set()
