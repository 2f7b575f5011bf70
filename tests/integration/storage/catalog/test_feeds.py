"""Which variants of a product a feed hides: its own, of that product, that no feed has any more."""

import pytest

from shared.clients.postgres import read, transaction, write
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
