"""Time formats, units and time zones of event histories. ``jobs/data/event_rows.py`` applies them to whole columns."""

from datetime import timedelta, timezone, tzinfo
from re import fullmatch
from typing import Final, Literal
from zoneinfo import ZoneInfo

from shared.errors import InvalidRequest

TimestampUnit = Literal["auto", "iso", "s", "ms", "us"]

_DATE: Final = r"\d{4}-?\d\d-?\d\d"
_TIME: Final = r"\d\d:?\d\d(?::?\d\d(?:[.,]\d{1,9})?)?"
_ZONE: Final = r"(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)"
# 2026-03-01T10:00:00+01:00; 2026-03-01 10:00:00 UTC (BigQuery); 2026-03-01 10:00:00 +0100 (Ruby)
ZONED_TIME: Final = rf"(?i){_DATE}[T ]{_TIME} ?{_ZONE}"
# 2026-03-01T10:00:00; 2026-03-01
LOCAL_TIME: Final = rf"(?i)\d{{4}}-\d\d-\d\d|{_DATE}[T ]{_TIME}"
# not 1.77236E+12, of which a spreadsheet dropped digits
EPOCH_NUMBER: Final = r"(?![0-9](?:[.,][0-9]{0,5})?E\+)\+?[0-9]+(?:\.[0-9]*)?(?:[eE]\+?[0-9]{1,2})?"
# Numbers below these limits, in microseconds a unit. They do not overlap for any time between 1973 and 5138: the unit
# of an epoch number follows from its size.
EPOCH_UNITS: Final[dict[str, tuple[float, float]]] = {"s": (1e11, 1e6), "ms": (1e14, 1e3), "us": (1e17, 1.0)}


def parse_zone(text: str | None) -> tzinfo:
    """Return the time zone of times that name none: UTC unless ``text`` gives another. Raises InvalidRequest."""
    name = (text or "UTC").strip()
    offset = fullmatch(r"([+-])(\d\d):?(\d\d)?", name)
    if offset and int(offset[2]) < 24 and int(offset[3] or 0) < 60:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(ahead if offset[1] == "+" else -ahead)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidRequest(
            f"timezone: {name[:100]!r} is not a time zone; write a name such as Europe/Berlin or an offset such as "
            "+01:00."
        ) from None
