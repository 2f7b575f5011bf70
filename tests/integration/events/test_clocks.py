"""How far the clocks of browsers and issuers may be off: seconds on either side of each limit."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from shared.domain.events import MAX_CLOCK_SKEW

Serve = Callable[[str], httpx.Client]
# longer than a request takes on a busy machine
MARGIN = timedelta(seconds=20)


def test_the_limit_is_ten_minutes() -> None:
    assert timedelta(minutes=10) == MAX_CLOCK_SKEW


@pytest.mark.parametrize(
    ("ahead", "accepted"),
    [
        (timedelta(0), True),
        (MAX_CLOCK_SKEW - MARGIN, True),
        (MAX_CLOCK_SKEW + MARGIN, False),
        (10 * MAX_CLOCK_SKEW - MARGIN, False),
        # the past has no limit of minutes: an app sends what it kept while it was offline
        (-10 * MAX_CLOCK_SKEW, True),
    ],
)
def test_an_event_may_be_ten_minutes_ahead(env: dict[str, str], serve: Serve, ahead: timedelta, accepted: bool) -> None:
    client = serve("events")
    now = datetime.now(UTC)
    event = {"user_id": "u1", "product_id": 1, "event_type": "view", "timestamp": (now + ahead).isoformat()}
    bystander = event | {"timestamp": now.isoformat()}
    assert client.post("/events", json=event).status_code == (202 if accepted else 422)
    batch = client.post("/events/batch", json={"events": [bystander, event]})
    assert batch.status_code == 202
    assert batch.json()["accepted"] == (2 if accepted else 1)
    assert [row["index"] for row in batch.json()["rejected"]] == ([] if accepted else [1])
    assert client.post("/events", json=bystander).status_code == 202
    assert time.time() - now.timestamp() < MARGIN.total_seconds()
