"""The dashboard: days, trends, totals, and the last run of each job."""

from datetime import timedelta

import httpx
import pytest

from functions.admin.schemas.dashboard import Dashboard
from shared import clients
from shared.clients import postgres, redis_sync
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products, today_in_utc
from tests.integration.storage.recommending.test_models import publish


def test_an_empty_shop_has_an_empty_dashboard(client: httpx.Client) -> None:
    dashboard = client.get("/admin/dashboard").json()
    assert dashboard["events_by_day"] == dashboard["top_trending"] == dashboard["jobs"] == []
    assert (dashboard["total_events"], dashboard["total_users"], dashboard["total_products"]) == (0, 0, 0)
    assert dashboard["active_model"] is None
    Dashboard.model_validate(dashboard)


def test_the_dashboard_has_days_trends_totals_and_the_last_run_of_each_job(client: httpx.Client, serve: Serve) -> None:
    today = today_in_utc()
    ids = add_plain_products(3, inactive=[2])
    add_events(
        [
            StoredEvent("a", ids[0], "view", 24 * 3),
            StoredEvent("b", ids[0], "purchase", 24 * 3),
            StoredEvent("a", ids[1], "view", 24 * 60),
        ]
    )
    serve("trending").post("/", json={})
    for _ in range(2):
        serve("daily_stats").post("/", json={})
    version = publish()
    add_events([StoredEvent("c", ids[1], "view", 0), StoredEvent("c", ids[0], "view", 0)])
    dashboard = client.get("/admin/dashboard").json()
    Dashboard.model_validate(dashboard)
    day = today - timedelta(days=3)
    assert dashboard["events_by_day"] == [
        {"date": day.isoformat(), "event_type": "purchase", "event_count": 1, "unique_users": 1, "unique_products": 1},
        {"date": day.isoformat(), "event_type": "view", "event_count": 1, "unique_users": 1, "unique_products": 1},
        {"date": today.isoformat(), "event_type": "view", "event_count": 2, "unique_users": 1, "unique_products": 2},
    ]
    # the one of two months ago is in the total
    assert (dashboard["total_events"], dashboard["total_users"], dashboard["total_products"]) == (5, 3, 2)
    first = dashboard["top_trending"][0]
    assert (first["time_window"], first["event_count"], first["product"]["id"]) == ("7d", 2, ids[0])
    assert first["product"]["price"] == 0.5
    assert {trend["time_window"] for trend in dashboard["top_trending"]} == {"7d", "30d"}
    assert dashboard["active_model"]["version"] == version
    assert {run["job"]: run["outcome"] for run in dashboard["jobs"]} == {
        "trending": "succeeded",
        "daily_stats": "succeeded",
    }
    assert len(dashboard["jobs"]) == 2
    assert dashboard["api_stats"]["cache"]["misses"] > 0


def test_what_is_no_longer_sold_merged_or_sent_is_in_no_figure(client: httpx.Client, serve: Serve) -> None:
    ids = add_plain_products(2)
    add_events([StoredEvent("a", product, "view", 1) for product in ids])
    serve("trending").post("/", json={}).raise_for_status()
    # hidden since the scores were computed
    postgres.write("UPDATE products SET is_active = false WHERE id = :id", id=ids[1])
    postgres.write("INSERT INTO users (external_id, merged_into) SELECT 'b', id FROM users WHERE external_id = 'a'")
    postgres.write(
        """INSERT INTO outbox (topic, data, attributes, published_at)
           VALUES ('user-events', '', '{}', now()), ('user-events', '', '{}', NULL)"""
    )
    dashboard = client.get("/admin/dashboard").json()
    assert {trend["product"]["id"] for trend in dashboard["top_trending"]} == {ids[0]}
    assert (dashboard["total_products"], dashboard["total_users"], dashboard["unsent_messages"]) == (1, 1, 1)


def test_the_total_has_every_day_once(client: httpx.Client, serve: Serve) -> None:
    today = today_in_utc()
    (product,) = add_plain_products(1)
    # the first day of those shown, and the last one before
    add_events([StoredEvent("a", product, "view", 24 * days) for days in (29, 30)])
    serve("daily_stats").post("/", json={"days": 31}).raise_for_status()
    add_events([StoredEvent("a", product, "view", 0)])
    dashboard = client.get("/admin/dashboard").json()
    days = [day["date"] for day in dashboard["events_by_day"]]
    assert days == [(today - timedelta(days=29)).isoformat(), today.isoformat()]
    assert dashboard["total_events"] == 3


def test_days_without_a_rollup_are_counted_live(client: httpx.Client) -> None:
    (product,) = add_plain_products(1)
    add_events([StoredEvent("a", product, "view", 24 * days) for days in (0, 1, 2, 20)])
    dashboard = client.get("/admin/dashboard").json()
    assert [day["event_count"] for day in dashboard["events_by_day"]] == [1, 1, 1, 1]
    assert dashboard["total_events"] == 4


def test_the_dashboard_is_stored_for_a_minute_and_a_flush_recomputes_it(client: httpx.Client) -> None:
    first = client.get("/admin/dashboard")
    add_plain_products(1)
    second = client.get("/admin/dashboard")
    assert second.json() == first.json()
    assert first.headers["cache-control"] == "private, no-cache"
    unchanged = client.get("/admin/dashboard", headers={"If-None-Match": first.headers["etag"]})
    assert unchanged.status_code == 304
    assert 0 < redis_sync.client().ttl("admin:dashboard") <= 60
    client.post("/admin/cache/flush")
    assert client.get("/admin/dashboard").json()["total_products"] == 1


def test_without_redis_the_dashboard_is_computed(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    clients.reset()
    answer = client.get("/admin/dashboard")
    assert answer.status_code == 200
    assert answer.json()["api_stats"] == {"cache": None}
    Dashboard.model_validate(answer.json())
