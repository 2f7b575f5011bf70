"""The job that groups users into segments: whom it reads, what it stores, and how segments live on."""

import struct
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.recommending import segments
from tests.integration.conftest import Serve
from tests.integration.segment_shop import add_shoppers, members
from tests.integration.shop import StoredEvent, add_events, add_products
from tests.integration.tables import count_rows


@pytest.fixture
def job(env: dict[str, str], serve: Serve) -> httpx.Client:
    return serve("segments")


def run(job: httpx.Client, **parameters: Any) -> dict[str, Any]:
    answer = job.post("/", json=parameters)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_a_shop_without_users_has_no_segments_and_says_so(job: httpx.Client) -> None:
    result = run(job)
    assert (result["users"], result["segments"], result["ended"]) == (0, [], 0)
    assert result["reason"] == "0 users with an event in the last 365 days; segments need 50"


def test_too_few_users_have_no_segments_until_there_is_one_more(job: httpx.Client) -> None:
    add_products(4)
    add_events(StoredEvent(f"u{number}", 1) for number in range(9))
    assert run(job, min_users=10)["segments"] == []
    add_events([StoredEvent("u9", 2)])
    assert sum(segment["size"] for segment in run(job, min_users=10)["segments"]) == 10
    # and none again, so that no rule applies to users of long ago
    assert run(job)["ended"] > 0
    assert count_rows("user_segments") == 0


def test_segments_are_the_kinds_of_users_and_are_named_by_them(job: httpx.Client) -> None:
    add_shoppers()
    result = run(job)
    assert result["users"] == 60
    by_user = members()
    kinds = {name: {by_user[f"{name}{number}"] for number in range(20)} for name in ("fan", "lapsed", "looker")}
    assert all(len(segment) == 1 for segment in kinds.values())
    assert len(set.union(*kinds.values())) == 3
    names = {row["id"]: row["name"] for row in result["segments"]}
    assert names[kinds["fan"].pop()] == "Recent frequent buyers of Candles"
    assert names[kinds["lapsed"].pop()] == "Lapsed one-time buyers of Bags"
    assert names[kinds["looker"].pop()] == "Visitors interested in Mugs"


def test_a_second_run_changes_nothing(job: httpx.Client) -> None:
    add_shoppers()
    first = run(job)
    before = postgres.read("SELECT user_id, segment_id, joined_at, xmin::text FROM user_segments ORDER BY user_id")
    second = run(job)
    # no row is written again
    assert before == postgres.read("SELECT user_id, segment_id, joined_at, xmin::text FROM user_segments ORDER BY 1")
    assert [row["joined"] for row in first["segments"]] == [row["size"] for row in first["segments"]]
    assert second["segments"] == [row | {"joined": 0} for row in first["segments"]]


def test_ids_stay_with_members_who_come_go_and_move(job: httpx.Client) -> None:
    add_shoppers()
    run(job)
    before = members()
    # a looker buys like a fan, another leaves, and a new one comes
    fan_days = [StoredEvent("looker0", 1 + 3 * (day % 4), "purchase", 24.0 * day + 1) for day in range(10)]
    add_events([*fan_days, *(StoredEvent("looker20", 3, "view", 24 * 30) for _ in range(3))])
    postgres.write(
        """INSERT INTO user_preferences SELECT id, 'category', (SELECT id::text FROM categories WHERE name = 'Mugs'),
           1, now() FROM users WHERE external_id = 'looker20'"""
    )
    postgres.write(
        """UPDATE user_preferences SET key = (SELECT id::text FROM categories WHERE name = 'Candles')
           WHERE user_id = (SELECT id FROM users WHERE external_id = 'looker0')"""
    )
    postgres.write("DELETE FROM events WHERE user_id = (SELECT id FROM users WHERE external_id = 'looker1')")
    moves = {row["id"]: (row["joined"], row["departed"], row["size"]) for row in run(job)["segments"]}
    after = members()
    assert moves == {before["fan0"]: (1, 0, 21), before["lapsed0"]: (0, 0, 20), before["looker0"]: (1, 2, 19)}
    assert after.pop("looker0") == before["fan0"]
    assert after.pop("looker20") == before["looker2"]
    assert "looker1" not in after
    # all others stay where they were
    assert after == {user: segment for user, segment in before.items() if user not in ("looker0", "looker1")}


def test_a_segment_whose_users_are_gone_ends_and_its_id_is_not_given_again(job: httpx.Client) -> None:
    add_shoppers()
    run(job)
    before = members()
    gone = before["lapsed0"]
    postgres.write("DELETE FROM events WHERE user_id IN (SELECT id FROM users WHERE external_id LIKE 'lapsed%')")
    result = run(job, min_users=10)
    assert gone not in {row["id"] for row in result["segments"]}
    assert result["ended"] >= 1
    (row,) = [row for row in segments.list_segments() if row["id"] == gone]
    assert (row["size"], row["departed"], row["revenue"]) == (0, 20, 0)
    assert row["ended_at"] is not None
    assert segments.list_segments()[-1]["ended_at"] is not None


def test_a_segment_that_ended_is_forgotten_after_90_days_unless_a_rule_names_it(job: httpx.Client) -> None:
    add_shoppers()
    postgres.write(
        """INSERT INTO segments (id, name, size, joined, departed, purchases, revenue, profile, ended_at)
           SELECT id, 'old', 0, 0, 0, 0, 0, '{}', now() - make_interval(days => days)
           FROM (VALUES (901, 91), (902, 89), (903, 91)) AS old(id, days)"""
    )
    postgres.write("INSERT INTO rules (kind, product_id, segment_id) VALUES ('exclude', 1, 903)")
    run(job)
    kept = {row[0] for row in postgres.read("SELECT id FROM segments WHERE name = 'old'")}
    assert kept == {902, 903}


def test_crawlers_erased_merged_and_silent_users_are_in_no_segment(job: httpx.Client) -> None:
    add_shoppers()
    add_events([StoredEvent("crawler", 1), StoredEvent("erased_00", 1), StoredEvent("guest_1", 1)])
    add_events([StoredEvent("long ago", 1, "view", 24 * 366), StoredEvent("just in time", 3, "view", 24 * 364)])
    postgres.write(
        "UPDATE events SET counted = false WHERE user_id = (SELECT id FROM users WHERE external_id = 'crawler')"
    )
    postgres.write(
        """UPDATE users SET merged_into = (SELECT id FROM users WHERE external_id = 'fan0'), merged_at = now()
           WHERE external_id = 'guest_1'"""
    )
    assert run(job)["users"] == 61
    assert set(members()) == {f"{name}{n}" for name in ("fan", "lapsed", "looker") for n in range(20)} | {
        "just in time"
    }


def test_value_is_of_90_days_at_the_price_of_the_order_and_without_what_was_given_back(job: httpx.Client) -> None:
    add_products(4)
    add_events(StoredEvent(f"u{number}", 1) for number in range(10))
    add_events([StoredEvent("u0", 2, "purchase", 24 * 89), StoredEvent("u1", 2, "purchase", 24 * 91)])
    add_events([StoredEvent("u2", 3, "purchase", 1), StoredEvent("u3", 4, "purchase", 1)])
    add_events([StoredEvent("u4", 4, "purchase", 1), StoredEvent("u5", 1, "purchase", 1)])
    # two of u5's three pieces are left
    postgres.write(
        """UPDATE events SET quantity = 3, returned = 1 WHERE event_type = 'purchase'
           AND user_id = (SELECT id FROM users WHERE external_id = 'u5')"""
    )
    for user, state in (("u2", "paid"), ("u3", "cancelled"), ("u4", "refunded")):
        postgres.write(
            """WITH placed AS (
                   INSERT INTO orders (id, user_id, checkout_id, request_hash, state, total)
                   SELECT gen_random_uuid(), id, gen_random_uuid(), '', :state, 7 FROM users WHERE external_id = :user
                   RETURNING id, user_id)
               INSERT INTO order_items (order_id, product_id, external_id, name, quantity, price, event_id,
                                        price_when_added, added_at)
               SELECT o.id, e.product_id, 'x', 'x', 1, 2.25, e.event_id, 2.25, now()
               FROM placed o JOIN events e USING (user_id) WHERE e.event_type = 'purchase'""",
            user=user,
            state=state,
        )
    run(job, min_users=10)
    rows = segments.list_segments()
    # product 2 at its price, 2, within the days, product 3 at the order's, and twice product 1 at its price, 1
    assert sum(row["purchases"] for row in rows) == 3
    assert float(sum(row["revenue"] for row in rows)) == 6.25
    spent = sum(row["profile"]["spent"] * row["size"] for row in rows)
    assert spent == pytest.approx(8.25, abs=0.05)


def test_answers_are_dropped_only_if_a_rule_names_a_segment(job: httpx.Client) -> None:
    add_shoppers()
    assert run(job)["cache_flushed"] is False
    postgres.write("INSERT INTO rules (kind, product_id, segment_id) SELECT 'exclude', 1, min(id) FROM segments")
    assert run(job)["cache_flushed"] is True


def test_parameters_have_limits(job: httpx.Client) -> None:
    for parameters in ({"days": 89}, {"min_users": 9}, {"categories": 101}, {"clusters": 3}):
        assert job.post("/", json=parameters).status_code == 422, parameters


@pytest.mark.parametrize(("hours", "days"), [(0.0, 0), (0.1, 1), (24.0, 1), (24.1, 2)])
def test_the_age_of_an_event_is_in_whole_days_from_midnight(env: object, hours: float, days: int) -> None:
    add_products(1)
    add_events([StoredEvent("u", 1)])
    postgres.write(
        "UPDATE events SET occurred_at = date_trunc('day', now(), 'UTC') - :h * interval '1 hour'",
        h=hours,
    )
    with postgres.transaction() as connection:
        packed = segments.read_behaviour(connection, 365)
    assert struct.unpack(">d", packed.recency_days) == (float(days),)
