"""Which variants a feed hides: its own, of that product, that no feed has any more. How far a feed's pull has come."""

from typing import Any

import pytest

from shared.clients.postgres import read, transaction, write
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import feeds

GROUPS = {"a": "shirt", "b": "shirt", "c": "shirt", "d": "shirt", "e": "shirt", "x": "shoe"}


@pytest.fixture
def two_feeds(env: dict[str, str]) -> tuple[int, int]:
    """Two feeds over a shirt and a shoe. The first created all but "b", which was there before; "e" is the other's."""
    write(
        """INSERT INTO products (external_id, item_group_id, name, price)
           SELECT * , 1 FROM unnest(cast(:ids AS text[]), cast(:groups AS text[]), cast(:ids AS text[]))""",
        ids=list(GROUPS),
        groups=list(GROUPS.values()),
    )
    first, second = (
        int(row[0])
        for row in write(
            """INSERT INTO feeds (name, url, every_minutes, max_gone_share)
               SELECT 'feed', 'https://shop.example', 60, 0.2 FROM generate_series(1, 2) RETURNING id"""
        )
    )
    for feed_id, own, others in ((first, ["a", "c", "d", "x"], ["b"]), (second, ["e"], ["d"])):
        write(
            """INSERT INTO feed_products (feed_id, external_id, import_id, is_own)
               SELECT :feed_id, id, 1, id = ANY (cast(:own AS text[])) FROM unnest(cast(:ids AS text[])) AS id""",
            feed_id=feed_id,
            own=own,
            ids=own + others,
        )
    return first, second


def hide(feed_id: int, *kept: str) -> set[str]:
    """Hide variants of the shirt, and return which are hidden."""
    with transaction() as connection:
        feeds.hide_variants(connection, feed_id, ["shirt"], kept)
    return {row[0] for row in read("SELECT external_id FROM products WHERE NOT is_active")}


def test_a_feed_hides_its_own_variants_that_no_feed_has(two_feeds: tuple[int, int]) -> None:
    first, second = two_feeds
    # kept: "c"; there before: "b"; in the other feed as well: "d"; the other's: "e"; another product: "x"
    assert hide(first, "c") == {"a"}
    assert hide(first, "c") == {"a"}
    noted = read("SELECT external_id FROM feed_products WHERE hidden_at IS NOT NULL")
    assert [row[0] for row in noted] == ["a"]
    assert hide(second) == {"a", "e"}


def test_a_variant_that_another_feed_has_hidden_is_hidden(two_feeds: tuple[int, int]) -> None:
    first, second = two_feeds
    write("UPDATE feed_products SET hidden_at = now() WHERE feed_id = :id AND external_id = 'd'", id=second)
    assert hide(first, "c") == {"a", "d"}


def noted(column: str) -> dict[tuple[int, str], Any]:
    """Return what is noted of each product of each feed."""
    return {(row[0], row[1]): row[2] for row in read(f"SELECT feed_id, external_id, {column} FROM feed_products")}


def test_what_a_file_no_longer_has_is_hidden_if_it_is_the_feed_s_alone(two_feeds: tuple[int, int]) -> None:
    first, second = two_feeds
    write("UPDATE products SET is_active = false WHERE external_id = 'x'")
    with transaction() as connection:
        # a row that was refused is in the file all the same
        feeds.keep(connection, first, 2, ["c", "no product"])
        feeds.keep(connection, second, 2, ["d"])
        # "a" and "d" of three own products that are shown: "x" was hidden before, "b" was there before the feed
        assert feeds.hide_vanished(connection, first, 2, 0.6) == (3, 2, [])
        vanished = feeds.hide_vanished(connection, first, 2, 0.67)
    assert (vanished.known, vanished.gone, len(vanished.hidden)) == (3, 2, 1)
    # "d" is in the other feed too
    assert [row[0] for row in read("SELECT external_id FROM products WHERE NOT is_active ORDER BY 1")] == ["a", "x"]
    assert {key for key, at in noted("hidden_at").items() if at is not None} == {(first, "a")}
    assert {key for key, import_id in noted("import_id").items() if import_id == 2} == {(first, "c"), (second, "d")}


def test_a_product_that_is_back_is_shown_by_the_feed_that_hid_it(two_feeds: tuple[int, int]) -> None:
    first, second = two_feeds
    write("UPDATE products SET is_active = false WHERE external_id IN ('a', 'c', 'd')")
    hidden = "UPDATE feed_products SET hidden_at = now() WHERE feed_id = :feed AND external_id = ANY (:ids)"
    write(hidden, feed=first, ids=["a", "c"])
    write(hidden, feed=second, ids=["d"])
    rows = [
        ProductWrite.model_validate({"external_id": name, "name": name, "price": 1, **more})
        for name, more in (("a", {}), ("c", {"is_active": False}), ("d", {}))
    ]
    with transaction() as connection:
        shown = feeds.mark_seen(connection, first, 2, rows, [])
    # "c" is to stay hidden, and "d" was hidden by the other feed
    assert [row[0] for row in read("SELECT external_id FROM products WHERE id = ANY (:ids)", ids=shown)] == ["a"]
    assert {key for key, at in noted("hidden_at").items() if at is not None} == {(second, "d")}
    assert noted("import_id")[second, "d"] == 1


def test_a_run_that_never_ends_is_due_again_within_an_hour(env: dict[str, str]) -> None:
    rare, often, bystander = (add_feed(None) for _ in range(3))
    write("UPDATE feeds SET every_minutes = 1440 WHERE id = :id", id=rare)
    write("UPDATE feeds SET every_minutes = 15 WHERE id = :id", id=often)
    write("UPDATE feeds SET next_run_at = now() - interval '1 minute'")
    for feed_id in (rare, often):
        feeds.begin_run(feed_id)
    due_in = read("SELECT id, round(extract(epoch FROM next_run_at - now()) / 60)::int FROM feeds")
    assert {row[0]: row[1] for row in due_in} == {rare: 60, often: 15, bystander: -1}
    assert [feed["id"] for feed in feeds.due()] == [bystander]
    write("UPDATE feeds SET next_run_at = now() - interval '2 minutes' WHERE id = :id", id=often)
    write("UPDATE feeds SET next_run_at = now() - interval '3 minutes', is_active = false WHERE id = :id", id=rare)
    # the longest due first, and none that is paused
    assert [feed["id"] for feed in feeds.due()] == [often, bystander]


def add_feed(preset: str | None, is_active: bool = True, cursor: str | None = None) -> int:
    row = write(
        """INSERT INTO feeds (name, url, preset, every_minutes, max_gone_share, is_active, cursor)
           VALUES ('feed', 'https://shop.example', :preset, 60, 0.2, :is_active, cast(:cursor AS jsonb))
           RETURNING id""",
        preset=preset,
        is_active=is_active,
        cursor=cursor,
    )[0]
    return int(row[0])


def cursors() -> dict[int, Any]:
    return {row[0]: row[1] for row in read("SELECT id, cursor FROM feeds")}


def test_the_oldest_active_feed_of_a_preset_is_pulled(env: dict[str, str]) -> None:
    paused = add_feed("medusa", is_active=False, cursor='{"mark": 1}')
    add_feed(None, cursor='{"mark": 2}')
    assert feeds.pulled("medusa") is None
    active = add_feed("medusa", cursor='{"mark": 3}')
    add_feed("medusa", cursor='{"mark": 4}')
    assert feeds.pulled("medusa") == (active, {"mark": 3})
    write("UPDATE feeds SET is_active = true WHERE id = :id", id=paused)
    assert feeds.pulled("medusa") == (paused, {"mark": 1})


def test_a_cursor_is_saved_only_if_the_settings_are_those_of_the_run(env: dict[str, str]) -> None:
    first, second = add_feed("medusa"), add_feed("medusa", cursor='{"mark": 1}')
    feed = next(feed for feed in feeds.due() if feed["id"] == first)

    def save(mark: int) -> None:
        with transaction() as connection:
            feeds.save_cursor(connection, feed, {"mark": mark})

    # one run saves its cursor several times
    for mark in (5, 6):
        save(mark)
        assert cursors() == {first: {"mark": mark}, second: {"mark": 1}}
    with transaction() as connection:
        feeds.change(connection, first, feed)
    save(7)
    assert cursors() == {first: None, second: {"mark": 1}}
