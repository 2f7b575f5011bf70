"""The ends of the windows of trending."""

from datetime import UTC, datetime

import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products


@pytest.mark.parametrize(("window", "days"), [("7d", 7), ("30d", 30)])
def test_an_event_counts_for_exactly_the_days_of_the_window(env: object, serve: Serve, window: str, days: int) -> None:
    last, first_beyond = add_plain_products(2)
    before = datetime.now(UTC)
    add_events([StoredEvent("a", last, "view", 24 * days - 1), StoredEvent("a", first_beyond, "view", 24 * days)])
    assert serve("trending").post("/", json={}).status_code == 200
    if datetime.now(UTC).hour != before.hour:
        pytest.skip("the hour changed between the events and the job")
    rows = postgres.read("SELECT product_id FROM trending_scores WHERE time_window = :window", window=window)
    assert [row[0] for row in rows] == [last]
