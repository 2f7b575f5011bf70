"""How far the clocks of browsers and issuers may be off: seconds on either side of each limit."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from shared.domain.events import MAX_AHEAD, MAX_CLOCK_SKEW

Serve = Callable[[str], httpx.Client]
# longer than a request takes on a busy machine
MARGIN = timedelta(seconds=20)


def test_the_limit_is_ten_minutes() -> None:
    assert timedelta(minutes=10) == MAX_CLOCK_SKEW


@pytest.mark.parametrize(
    ("ahead", "status", "is_noted"),
    [
        (timedelta(0), 202, False),
        (MAX_CLOCK_SKEW - MARGIN, 202, False),
        (MAX_CLOCK_SKEW + MARGIN, 202, True),
        (MAX_AHEAD - MARGIN, 202, True),
        (MAX_AHEAD + MARGIN, 422, False),
        # the past has no limit of minutes: an app sends what it kept while it was offline
        (-10 * MAX_CLOCK_SKEW, 202, False),
    ],
)
def test_an_event_may_be_ten_minutes_ahead_and_up_to_a_day_happened_now(
    env: dict[str, str], serve: Serve, ahead: timedelta, status: int, is_noted: bool
) -> None:
    client = serve("events")
    now = datetime.now(UTC)
    event = {"user_id": "u1", "product_id": 1, "event_type": "view", "timestamp": (now + ahead).isoformat()}
    bystander = event | {"timestamp": now.isoformat()}
    answer = client.post("/events", json=event)
    assert answer.status_code == status
    if status == 202:
        assert (answer.json()["note"] is not None) == is_noted
    batch = client.post("/events/batch", json={"events": [bystander, event]})
    assert batch.status_code == 202
    assert batch.json()["accepted"] == (2 if status == 202 else 1)
    assert [row["index"] for row in batch.json()["rejected"]] == ([] if status == 202 else [1])
    assert [row["index"] for row in batch.json()["notes"]] == ([1] if is_noted else [])
    assert client.post("/events", json=bystander).json()["note"] is None
    assert time.time() - now.timestamp() < MARGIN.total_seconds()


def test_a_batch_s_sent_at_corrects_its_events(env: dict[str, str], serve: Serve) -> None:
    client = serve("events")
    wrong = datetime.now(UTC) + timedelta(days=3)
    event = {"user_id": "u1", "product_id": 1, "event_type": "view", "timestamp": wrong.isoformat()}
    assert client.post("/events/batch", json={"events": [event]}).json()["accepted"] == 0
    answer = client.post("/events/batch", json={"events": [event], "sent_at": wrong.isoformat()}).json()
    assert answer == {"accepted": 1, "rejected": [], "notes": []}
    assert client.post("/events", json=event | {"sent_at": wrong.isoformat()}).status_code == 202
