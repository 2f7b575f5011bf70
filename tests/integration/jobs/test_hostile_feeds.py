"""Feeds of servers that mean harm: none keeps another feed from running, and no report has a secret."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from shared.clients import postgres
from shared.storage.catalog import feeds as stored
from tests.integration.clients.test_http_files import FileServer
from tests.integration.conftest import Serve, settings_of
from tests.integration.jobs.test_import_feeds import HEAD, Feeds, rows

SECRETS = "aisle-feed-mark=Bearer s3cret-\u20ac-word\naisle-feed-bell=Bearer s3cret\x07word"


@pytest.fixture
def feeds(env: dict[str, str], serve: Serve) -> Iterator[Feeds]:
    with settings_of(env | {"ALLOW_PRIVATE_SOURCES": "true", "FEED_SECRETS": SECRETS}), FileServer() as server:
        yield Feeds(serve, server)
        server.shutdown()


@pytest.mark.parametrize("mark", ['"a\0b"', '"a\r\n b"', '"\xe9"', '"' + "a" * 499 + '"'])
def test_a_mark_that_cannot_be_stored_or_sent_back_is_left_out(feeds: Feeds, mark: str) -> None:
    feed = feeds.add("/a.csv", rows("a"))
    other = feeds.add("/b.csv", rows("b"))

    def answer(request: BaseHTTPRequestHandler) -> None:
        body = feeds.files["/a.csv"]
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nETag: {mark}\r\n\r\n"
        request.wfile.write(head.encode("latin-1") + body)

    feeds.server.answers["/a.csv"] = answer
    assert feeds.run() == {"imported": 2, "unchanged": 0, "failed": 0}
    assert [feeds.feed(number)["last_outcome"] for number in (feed, other)] == ["imported", "imported"]
    # the next run sends no mark that a client refuses to send
    feeds.files["/a.csv"] = rows("a", "c").encode()
    assert feeds.run() == {"imported": 1, "unchanged": 1, "failed": 0}


def test_the_longest_mark_is_sent_back(feeds: Feeds) -> None:
    mark = '"' + "a" * (stored.MAX_MARK_CHARACTERS - 2) + '"'
    feeds.add("/a.csv", rows("a"))
    feeds.put("/a.csv", rows("a"), tag=mark)
    feeds.run()
    feeds.run()
    assert feeds.server.requests[-1][1]["If-None-Match"] == mark


@pytest.mark.parametrize("cell", ["a\0b", "\0"])
def test_a_nul_in_a_file_fails_its_own_feed_only(feeds: Feeds, cell: str) -> None:
    feed = feeds.add("/a.csv", f"external_id,name,{cell},price\nx,{cell},1,{cell}\n")
    other = feeds.add("/b.csv", rows("b"))
    third = feeds.add("/c.csv", HEAD + f"{cell},{cell},{cell}\n")
    assert feeds.run() == {"imported": 1, "unchanged": 0, "failed": 2}
    assert [feeds.feed(number)["last_outcome"] for number in (feed, other, third)] == ["failed", "imported", "failed"]


def test_a_feed_whose_run_never_ends_is_not_the_first_again(feeds: Feeds) -> None:
    first, second = feeds.add("/a.csv", rows("a"), every_minutes=10_080), feeds.add("/b.csv", rows("b"))
    postgres.write("UPDATE feeds SET next_run_at = now() - interval '1 day' WHERE id = :id", id=first)
    assert [feed["id"] for feed in stored.due()] == [first, second]
    # killed: nothing more is recorded of it
    stored.begin_run(first)
    assert [feed["id"] for feed in stored.due()] == [second]
    (is_soon,) = postgres.read(
        """SELECT next_run_at BETWEEN now() + interval '30 minutes' AND now() + interval '1 hour'
           FROM feeds WHERE id = :id""",
        id=first,
    )
    assert is_soon[0]


@pytest.mark.parametrize("name", ["aisle-feed-mark", "aisle-feed-bell"])
def test_a_secret_that_no_header_can_have_is_named_and_not_shown(feeds: Feeds, name: str) -> None:
    feed = feeds.add("/a.csv", rows("a"), credentials=name)
    assert feeds.run() == {"imported": 0, "unchanged": 0, "failed": 1}
    detail = feeds.feed(feed)["last_detail"]
    assert detail == f"credentials: {name} must be one line of ASCII characters; store it again."
    assert feeds.server.requests == []
