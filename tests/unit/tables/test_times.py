"""Time zones for times without one."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import InvalidRequest
from shared.tables.times import parse_zone

SUMMER = datetime(2026, 7, 1)  # noqa: DTZ001 — the zone is what is tested


@pytest.mark.parametrize(
    ("text", "hours"),
    [(None, 0), ("UTC", 0), ("Europe/Berlin", 2), ("America/New_York", -4), ("+01:00", 1), ("-0530", -5.5), ("+02", 2)],
)
def test_a_zone_is_a_name_or_an_offset(text: str | None, hours: float) -> None:
    assert SUMMER.replace(tzinfo=parse_zone(text)).astimezone(UTC) == SUMMER.replace(tzinfo=UTC) - timedelta(
        hours=hours
    )


@pytest.mark.parametrize("text", ["Mars/Olympus", "+25:00", "../etc/passwd", "CET+1"])
def test_an_unknown_zone_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="timezone"):
        parse_zone(text)
