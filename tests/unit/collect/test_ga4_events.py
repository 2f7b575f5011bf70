"""Events of GA4 without an id of their own: the same one counts once, and others beside it stay others."""

from typing import Any

from functions.collect import ga4_events

MICROS = 1_770_000_000_000_000
VIEW: dict[str, Any] = {"name": "view_item", "params": {"items": [{"item_id": "a"}]}}


def ga4(event: dict[str, Any], position: int = 0, **body: Any) -> dict[str, Any]:
    (report,) = ga4_events.reports({"client_id": "c1", "timestamp_micros": MICROS} | body, event, position)
    return report


def test_an_event_of_ga4_is_told_from_others_by_user_place_and_time() -> None:
    first = ga4(VIEW)
    assert ga4(VIEW)["event_id"] == first["event_id"]
    others = (ga4(VIEW, 1), ga4(VIEW, client_id="c2"), ga4(VIEW, timestamp_micros=MICROS + 1))
    assert len({first["event_id"], *(other["event_id"] for other in others)}) == 4


def test_an_event_s_own_time_comes_before_that_of_its_request() -> None:
    own, requests = ga4(VIEW | {"timestamp_micros": MICROS - 60_000_000}), ga4(VIEW)
    assert (own["timestamp"], requests["timestamp"]) == ("2026-02-02T02:39:00+00:00", "2026-02-02T02:40:00+00:00")
