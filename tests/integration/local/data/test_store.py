"""Loading a data set: completely or not at all, and only once."""

import pytest

import local.data
from local.errors import Refused
from shared.clients import postgres
from tests.integration import derived_tables

SMALL = {"products": 60, "users": 25, "events": 3000, "skew": 0.5}


def silent(_line: str) -> None:
    """Ignore the report."""


def test_a_synthetic_shop_is_loaded_with_everything_that_follows_from_it(env: object) -> None:
    lines: list[str] = []
    local.data.load("synthetic", SMALL, lines.append)
    counts = derived_tables.row_counts()
    assert (counts["products"], counts["users"], counts["events"], counts["event_ids"]) == (60, 25, 3000, 3000)
    derived_tables.assert_match_events()
    assert postgres.read("SELECT count(*) FROM events_default")[0][0] == 0
    assert postgres.read("SELECT count(*) FROM users WHERE NOT is_anonymous")[0][0] == 7
    assert postgres.read("SELECT reltuples FROM pg_class WHERE relname = 'event_ids'")[0][0] == 3000
    assert any("3,000 new events" in line for line in lines)
    # the search document is written with the row
    matches = postgres.read("SELECT count(*) FROM products WHERE document @@ plainto_tsquery('aisle', 'electronics')")
    assert matches[0][0] == 6


def test_loading_twice_adds_nothing_and_takes_nothing_back(env: object) -> None:
    local.data.load("synthetic", SMALL, silent)
    postgres.write("UPDATE products SET price = 1, quantity = 7 WHERE id = 1")
    before = derived_tables.row_counts(), derived_tables.stored(), postgres.read("SELECT * FROM products ORDER BY id")
    local.data.load("synthetic", SMALL, silent)
    assert (
        derived_tables.row_counts(),
        derived_tables.stored(),
        postgres.read("SELECT * FROM products ORDER BY id"),
    ) == before


def test_an_interrupted_load_leaves_nothing(env: object) -> None:
    before = derived_tables.row_counts()
    partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
    months = postgres.read(partitions)

    def interrupt(line: str) -> None:
        if "3,000 of 3,000 events" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.data.load("synthetic", SMALL, interrupt)
    assert derived_tables.row_counts() == before
    assert postgres.read(partitions) == months
    local.data.load("synthetic", SMALL, silent)
    derived_tables.assert_match_events()


def test_two_shops_live_side_by_side(env: object) -> None:
    local.data.load("synthetic", SMALL, silent)
    local.data.load("synthetic", {**SMALL, "seed": 7}, silent)
    assert derived_tables.row_counts()["events"] == 6000
    assert derived_tables.row_counts()["products"] == 60
    derived_tables.assert_match_events()


def test_the_real_shop_is_loaded_and_its_derived_tables_are_right(env: object) -> None:
    local.data.load("online_retail", {}, silent)
    counts = derived_tables.row_counts()
    assert (counts["products"], counts["users"], counts["events"]) == (3926, 4334, 396_337)
    assert counts["categories"] == 22
    # the rules are compared event by event on the small shop; here on some users, and by totals
    derived_tables.assert_match_events_of(
        [row[0] for row in postgres.read("SELECT id FROM users ORDER BY hashint8(id) LIMIT 60")]
    )
    for total in (
        "SELECT sum(event_count) FROM event_counts_hourly",
        "SELECT sum(purchase_count) FROM product_stats",
        "SELECT sum(purchase_count) FROM user_purchases",
        "SELECT sum(event_count) FROM daily_event_stats",
    ):
        assert postgres.read(total)[0][0] == 396_337, total
    basket = postgres.read("SELECT count(*), count(DISTINCT user_id) FROM events WHERE session_id = '536365'")
    assert tuple(basket[0]) == (7, 1)
    newest = postgres.read("SELECT max(occurred_at) <= now(), max(occurred_at) > now() - interval '2 days' FROM events")
    assert tuple(newest[0]) == (True, True)
    assert postgres.read("SELECT count(*) FROM events_default")[0][0] == 0


def test_the_data_set_none_loads_nothing(env: object) -> None:
    before = derived_tables.row_counts()
    local.data.load("none", {}, silent)
    assert derived_tables.row_counts() == before


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("grocer", {}, "There is no data set 'grocer'"),
        ("online_retail", {"users": 1}, "has no options"),
        ("synthetic", {"user": 1}, "user"),
    ],
)
def test_a_name_or_option_that_does_not_exist_is_refused(name: str, options: dict[str, int], says: str) -> None:
    with pytest.raises(Refused, match=says):
        local.data.load(name, options, silent)
