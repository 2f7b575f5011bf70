"""The overview: revenue net of refunds, the part that recommendations showed before, and reactions by day and place."""

from datetime import UTC, datetime, time, timedelta
from uuid import uuid4

import httpx
import pytest

from functions.admin.schemas.overview import Overview
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import register
from tests.integration.shop import StoredEvent, add_events, add_plain_products, today_in_utc


def show(user: str, product_ids: list[int], hours_ago: float, kind: str = "recommendations") -> str:
    """Log an answer of that time, and return its id."""
    answer = str(uuid4())
    postgres.write(
        """INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
           VALUES (cast(:id AS uuid), :user, :kind, 'trending', :ids, now() - make_interval(secs => :age))""",
        id=answer,
        user=user,
        kind=kind,
        ids=product_ids,
        age=hours_ago * 3600,
    )
    return answer


def react(answer: str, product_id: int, action: str) -> None:
    postgres.write(
        """INSERT INTO recommendation_feedback (recommendation_id, product_id, action)
           VALUES (cast(:answer AS uuid), :product, :action)""",
        answer=answer,
        product=product_id,
        action=action,
    )


def test_an_empty_shop_has_days_without_revenue(client: httpx.Client) -> None:
    overview = client.get("/admin/overview", params={"days": 3}).json()
    Overview.model_validate(overview)
    assert [day["revenue"] for day in overview["by_day"]] == [0, 0, 0]
    assert (overview["revenue"], overview["recommended_share"]) == (0, None)
    assert overview["top_products"] == overview["recommendations_by_day"] == []


def test_revenue_is_due_to_recommendations_that_the_buyer_saw_in_the_day_before(client: httpx.Client) -> None:
    today = today_in_utc()
    # they cost 0.5, 1.5 and 2.5
    ids = add_plain_products(3)
    add_events(
        [
            StoredEvent("ann", ids[0], "purchase", 48),
            StoredEvent("ann", ids[1], "purchase", 48),
            StoredEvent("bob", ids[2], "purchase", 48),
            StoredEvent("bob", ids[2], "view", 48),
            # given back, and too long ago
            StoredEvent("bob", ids[1], "purchase", 47.9),
            StoredEvent("bob", ids[2], "purchase", 24 * 40),
        ]
    )
    postgres.write("UPDATE events SET returned = quantity WHERE occurred_at > now() - interval '47.95 hours'")
    show("ann", [ids[2], ids[0]], 48 + 23.9)
    # shown twice, it was bought once
    show("ann", [ids[0]], 48.5)
    # a day and a little before; after the purchase; to somebody else
    show("ann", [ids[1]], 48 + 24.1)
    show("ann", [ids[1]], 47)
    show("ann", [ids[2]], 49)
    overview = client.get("/admin/overview", params={"days": 7}).json()
    Overview.model_validate(overview)
    assert overview["revenue"] == pytest.approx(0.5 + 1.5 + 2.5)
    assert overview["recommended_revenue"] == pytest.approx(0.5)
    assert overview["recommended_share"] == pytest.approx(0.5 / 4.5, abs=1e-4)
    by_day = {day["date"]: day for day in overview["by_day"]}
    assert len(by_day) == 7
    day = by_day[(today - timedelta(days=2)).isoformat()]
    assert (day["purchases"], day["buyers"]) == (3, 2)
    assert [(line["product"]["id"], line["pieces"]) for line in overview["top_products"]] == [
        (ids[2], 1),
        (ids[1], 1),
        (ids[0], 1),
    ]


def test_a_piece_costs_what_the_order_says_and_the_products_of_most_revenue_are_listed(client: httpx.Client) -> None:
    # one more than are listed; they cost 0.5, 1.5 and so on
    cheapest, *others = add_plain_products(11)
    add_events([StoredEvent("ann", product, "purchase", 48) for product in (cheapest, *others)])
    # of three pieces, which were cheaper on that day, one was given back
    postgres.write("UPDATE events SET quantity = 3, returned = 1 WHERE product_id = :product", product=cheapest)
    postgres.write(
        """INSERT INTO purchase_lines
               (event_id, sent_id, user_id, order_id, product_id, quantity, returned, price, vouched, occurred_at)
           SELECT event_id, event_id, user_id, 'o', product_id, quantity, returned, 0.3, true, occurred_at
           FROM events WHERE product_id = :product""",
        product=cheapest,
    )
    overview = client.get("/admin/overview", params={"days": 7}).json()
    assert overview["revenue"] == pytest.approx(2 * 0.3 + sum(number + 1.5 for number in range(10)))
    assert [line["product"]["id"] for line in overview["top_products"]] == others[::-1]


def test_reactions_are_told_apart_by_day_kind_and_place(client: httpx.Client) -> None:
    ids = add_plain_products(3)
    first, second = show("ann", ids, 0), show("bob", [ids[1], ids[0]], 0, kind="similar")
    for answer in (first, second):
        react(answer, ids[0], "impression")
    react(first, ids[1], "impression")
    react(second, ids[0], "click")
    overview = client.get("/admin/overview").json()
    Overview.model_validate(overview)
    by_day, by_position = overview["recommendations_by_day"], overview["recommendations_by_position"]
    lines = [(line["kind"], line["impressions"], line["clicks"], line["ctr"]) for line in by_day]
    assert lines == [("recommendations", 2, 0, 0.0), ("similar", 1, 1, 1.0)]
    places = [(line["position"], line["impressions"], line["clicks"]) for line in by_position]
    assert places == [(1, 1, 0), (2, 2, 1)]


def test_an_answer_with_two_purchases_converts_once(client: httpx.Client) -> None:
    ids = add_plain_products(2)
    show("ann", ids, 1)
    show("bob", ids, 1)
    add_events([StoredEvent("ann", product, "purchase", 0.5) for product in ids])
    lines = client.get("/admin/overview", params={"days": 3}).json()["recommendations_by_day"]
    # the day of an hour ago may be yesterday
    assert [(line["answers"], line["purchases"], line["conversion"]) for line in lines] == [(2, 2, 0.5)]


def test_places_of_reactions_before_the_days_are_left_out(client: httpx.Client) -> None:
    (product,) = add_plain_products(1)
    for hours_ago in (0, 23, 25):
        react(show("ann", [product], hours_ago), product, "impression")
        postgres.write(
            """UPDATE recommendation_feedback f SET at = l.at FROM recommendation_log l
               WHERE l.id = f.recommendation_id"""
        )
    for days, expected in ((1, 2), (2, 3)):
        overview = client.get("/admin/overview", params={"days": days}).json()
        assert [line["impressions"] for line in overview["recommendations_by_position"]] == [expected]


@pytest.mark.parametrize("counted", [False, True])
def test_reactions_before_the_days_are_left_out(client: httpx.Client, serve: Serve, counted: bool) -> None:
    (product,) = add_plain_products(1)
    react(show("ann", [product], 24), product, "impression")
    react(show("ann", [product], 0), product, "impression")
    if counted:
        serve("daily_stats").post("/", json={}).raise_for_status()
    for days, expected in ((1, 1), (2, 2)):
        overview = client.get("/admin/overview", params={"days": days}).json()
        assert sum(line["answers"] for line in overview["recommendations_by_day"]) == expected


def test_visitors_are_new_on_their_first_day_and_then_return(client: httpx.Client, serve: Serve) -> None:
    today = today_in_utc()
    (product,) = add_plain_products(1)
    add_events(
        [StoredEvent("ann", product, "view", 24 * days) for days in (4, 2, 0)]
        + [StoredEvent("bob", product, "view", 24 * 2), StoredEvent("bob", product, "purchase", 24 * 2)]
        + [StoredEvent("eve", None, "search", 24 * 40)]
    )
    postgres.write("UPDATE users u SET created_at = (SELECT min(occurred_at) FROM events WHERE user_id = u.id)")

    def by_day() -> list[tuple[int, int]]:
        overview = client.get("/admin/overview", params={"days": 5}).json()
        Overview.model_validate(overview)
        assert overview["by_day"][-1]["date"] == today.isoformat()
        return [(day["visitors"], day["new_visitors"]) for day in overview["by_day"]]

    expected = [(1, 1), (0, 0), (2, 1), (0, 0), (1, 0)]
    assert by_day() == expected
    # the same from the counts of the job, which stay when events are dropped; the last two days are counted live
    serve("daily_stats").post("/", json={"days": 5}).raise_for_status()
    assert by_day() == expected
    postgres.write("DELETE FROM events WHERE occurred_at < now() - interval '3 days'")
    assert by_day() == expected
    postgres.write("DELETE FROM events")
    assert by_day() == [(1, 1), (0, 0), (2, 1), (0, 0), (0, 0)]
    # counted again, they do not shrink
    serve("daily_stats").post("/", json={"days": 5}).raise_for_status()
    assert by_day() == [(1, 1), (0, 0), (2, 1), (0, 0), (0, 0)]


def test_yesterday_and_today_are_counted_live_whatever_was_counted_before(client: httpx.Client, serve: Serve) -> None:
    (product,) = add_plain_products(1)
    days_ago = (2, 1, 0)
    add_events([StoredEvent("ann", product, "view", 24 * days) for days in days_ago])
    serve("daily_stats").post("/", json={"days": 3}).raise_for_status()
    add_events([StoredEvent("bob", product, "view", 24 * days) for days in days_ago])
    overview = client.get("/admin/overview", params={"days": 3}).json()
    assert [day["visitors"] for day in overview["by_day"]] == [1, 2, 2]


def test_days_of_visitors_begin_in_the_shop_s_time_zone(client: httpx.Client, serve: Serve) -> None:
    # 14 hours before UTC: the afternoon of UTC is the next day's morning there
    postgres.write("UPDATE shop SET time_zone = 'Pacific/Kiritimati'")
    (product,) = add_plain_products(1)
    day = today_in_utc() - timedelta(days=3)
    morning, afternoon = (datetime.combine(day, time(hour), UTC) for hour in (5, 15))
    since = [(datetime.now(UTC) - moment) / timedelta(hours=1) for moment in (morning, afternoon)]
    add_events([StoredEvent("ann", product, "purchase", hours) for hours in since])
    add_events([StoredEvent("bob", product, "view", since[1])])
    postgres.write("UPDATE users u SET created_at = (SELECT min(occurred_at) FROM events WHERE user_id = u.id)")

    def by_day() -> list[tuple[int, ...]]:
        overview = client.get("/admin/overview", params={"days": 7}).json()
        days = {line["date"]: line for line in overview["by_day"]}
        figures = ("visitors", "new_visitors", "purchases", "buyers")
        dates = [(day + timedelta(days=number)).isoformat() for number in (0, 1)]
        return [tuple(days[date][figure] for figure in figures) for date in dates]

    assert by_day() == [(1, 1, 1, 1), (2, 1, 1, 1)]
    serve("daily_stats").post("/", json={"days": 7}).raise_for_status()
    assert by_day() == [(1, 1, 1, 1), (2, 1, 1, 1)]
    counted = postgres.read("SELECT date, event_type, event_count, unique_users FROM daily_event_stats ORDER BY 1, 2")
    following = day + timedelta(days=1)
    assert [tuple(row) for row in counted] == [
        (day, "purchase", 1, 1),
        (following, "purchase", 1, 1),
        (following, "view", 1, 1),
    ]
    postgres.write("DELETE FROM daily_event_stats")
    # and as many live
    lines = client.get("/admin/dashboard").json()["events_by_day"]
    assert [(line["date"], line["event_type"]) for line in lines] == [
        (day.isoformat(), "purchase"),
        (following.isoformat(), "purchase"),
        (following.isoformat(), "view"),
    ]


def test_a_visitor_who_registers_is_not_new_again(client: httpx.Client, serve: Serve) -> None:
    (product,) = add_plain_products(1)
    add_events([StoredEvent(user, product, "view", 24 * 2) for user in ("browser-1", "browser-2")])
    postgres.write("UPDATE users u SET created_at = (SELECT min(occurred_at) FROM events WHERE user_id = u.id)")
    people = serve("accounts")
    # one brings a guest of two days ago, the other comes for the first time
    ann = register(people, "ann", guest_user_id="browser-1")["user_id"]
    bob = register(people, "bob")["user_id"]
    add_events([StoredEvent(user, product, "view", 0) for user in (ann, bob)])

    def by_day() -> list[tuple[int, int]]:
        overview = client.get("/admin/overview", params={"days": 3}).json()
        return [(day["visitors"], day["new_visitors"]) for day in overview["by_day"]]

    expected = [(2, 2), (0, 0), (2, 1)]
    assert by_day() == expected
    for _run in range(2):
        serve("daily_stats").post("/", json={"days": 3}).raise_for_status()
        assert by_day() == expected


@pytest.mark.parametrize("days", ["0", "31", "x"])
def test_other_numbers_of_days_are_refused(client: httpx.Client, days: str) -> None:
    assert client.get("/admin/overview", params={"days": days}).status_code == 422
