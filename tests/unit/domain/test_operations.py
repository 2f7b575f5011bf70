"""Percentiles, error shares and hit rates of routes, and minutes without messages."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.operations import (
    Figures,
    Minute,
    Queue,
    Requests,
    Route,
    by_route,
    floor,
    from_json,
    minutes,
    percentile_s,
    to_json,
)

END = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
INFINITY = float("inf")


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        # ten requests evenly between 0 and 1 s
        ({(0.0, 1.0): 10}, 0.5, 0.5),
        ({(0.0, 1.0): 10}, 0.95, 0.95),
        # the median is the upper bound of the first bucket; one request more, and it lies in the second
        ({(0.0, 1.0): 5, (1.0, 2.0): 5}, 0.5, 1.0),
        ({(0.0, 1.0): 5, (1.0, 2.0): 6}, 0.5, 1 + 0.5 / 6),
        # buckets without requests are skipped
        ({(0.0, 1.0): 0, (1.0, 2.0): 0, (2.0, 4.0): 1}, 0.5, 3.0),
        # nothing is known above the last bound
        ({(0.0, 1.0): 1, (1.0, INFINITY): 99}, 0.95, 1.0),
        ({(0.0, 1.0): 0}, 0.5, None),
        ({}, 0.5, None),
    ],
)
def test_a_percentile_lies_in_its_bucket(
    buckets: dict[tuple[float, float], int], share: float, expected: float | None
) -> None:
    found = percentile_s(buckets, share)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_route_adds_up_its_statuses_and_cache_states_and_no_other_route() -> None:
    bounds = (0.1, 1.0)
    found = by_route(
        [
            Requests("products", "GET /products", 200, "hit", bounds, (30, 0, 0)),
            Requests("products", "GET /products", 200, "miss", bounds, (0, 9, 0)),
            # neither kind of answer may be stored
            Requests("products", "GET /products", 422, "none", bounds, (0, 0, 0)),
            Requests("products", "GET /products", 499, "none", bounds, (10, 0, 0)),
            Requests("products", "GET /products", 500, "none", bounds, (0, 0, 1)),
            Requests("cart", "GET /cart", 200, "none", bounds, (1, 0, 0)),
            Requests("web", "GET /", 200, "none", bounds, (0, 0, 0)),
        ]
    )
    assert [(route.function, route.route, route.requests, route.failed) for route in found] == [
        ("products", "GET /products", 50, 1),
        ("cart", "GET /cart", 1, 0),
    ]
    assert found[0].cache_hit_rate == pytest.approx(30 / 39)
    assert found[0].p50_ms == pytest.approx(25 / 40 * 100)
    assert found[1].cache_hit_rate is None


def test_the_hour_has_sixty_minutes_and_those_without_messages_are_zero() -> None:
    beside = END - timedelta(hours=1)
    found = minutes(END, {END: 3, beside: 7, END + timedelta(minutes=1): 9}, {END - timedelta(minutes=59): 2})
    assert len(found) == 60
    assert found[-1] == Minute(END - timedelta(minutes=1), 3, 0)
    assert found[0] == Minute(beside, 0, 2)
    assert sum(minute.accepted for minute in found) == 3


def test_figures_survive_json() -> None:
    figures = Figures(
        [Minute(END, 2, 1)],
        [Queue("update_preferences", 0, None), Queue("refresh_catalog", 2, 3.5)],
        [Route("web", "GET /", 4, 1, 1.5, None, 0.25)],
        {"cache": "why"},
    )
    assert from_json(to_json(figures)) == figures
    assert to_json(figures)["routes"][0]["error_share"] == 0.25
    assert from_json(to_json(Figures())) == Figures()
    with pytest.raises(KeyError):
        from_json({"traffic": None})


def test_a_moment_is_rounded_down() -> None:
    step = timedelta(seconds=10)
    assert floor(END, step) == END
    assert floor(END + timedelta(seconds=9, microseconds=999_999), step) == END
    assert floor(END + timedelta(seconds=10), step) == END + step
