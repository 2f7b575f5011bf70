"""Values of a recorded answer that differ in every run, and what stands for them in the examples.

Ids are numbered in the order in which they first appear, days are moved so that the recording happens on DAY, and
secrets, durations and measured numbers have one value.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

DAY: Final = date(2026, 1, 31)
REQUEST_ID: Final = "example-request"
PASSWORD: Final = "a plum in the rain"  # noqa: S105 — of a shop that ends with the recording
# what people send and get as secrets, by the name of the field
SECRETS: Final = {
    "access_token": "eyJhbGciOiJIUzI1NiIs…",
    "refresh_token": "9tYk2c…",
    "key": "sk_000000000001_…",
    "guest_token": "eyJhbGciOiJIUzI1NiIs…",
    "upload": "eyJhbGciOiJIUzI1NiIs…",
}
# numbers that are measured, by the end of the field's name
MEASURED: Final = ("_ms", "seconds", "bytes", "duration", "score", "ndcg@20", "weight", "ctr", "taste")
MEASURED_VALUE: Final = 0.25
MEASURED_INTEGER: Final = 250

# objects whose fields depend on what they tell: a change in the audit log, the result of a job, a training run
FREE: Final = frozenset({"before", "after", "details", "metrics", "result", "outcome", "reason", "scheduler"})

_ACCOUNT: Final = re.compile(r"\bacct_[0-9a-f]+")
_GUEST: Final = re.compile(r"\bguest_[0-9a-f]{32}")
_UUID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_KEY_ID: Final = re.compile(r"\b[0-9a-f]{12}\b")
_MOMENT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2}| UTC)?")
_DAY: Final = re.compile(r"\b(20\d{2}-\d{2}-\d{2})\b")
_LINK: Final = re.compile(r"([?&](?:link|token)=)[\w.%/-]+")
_ADDRESS: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1):\d+")
_CONNECTIONS: Final = re.compile(r"\d+ of \d+ connections")
_VERSION: Final = re.compile(r"\b(PostgreSQL|Redis|Valkey) \d[\w.]*")


class Normaliser:
    """Replaces what differs between two runs, the same value by the same one in the whole recording."""

    def __init__(self, now: datetime) -> None:
        self._shift = DAY - now.astimezone(UTC).date()
        self._ids: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def value(self, value: Any, field: str = "") -> Any:
        """Return a value of JSON without what differs in every run."""
        if isinstance(value, dict):
            return {self._text(key): self.value(member, key) for key, member in value.items()}
        if isinstance(value, list):
            return [self.value(member, field) for member in value]
        if isinstance(value, str):
            secret = SECRETS.get(field)
            return (
                self._text(value) if secret is None else value[:3] + secret[3:] if value.startswith("pk_") else secret
            )
        if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and _is_measured(field)):
            return _number(value, field)
        return value

    def _text(self, text: str) -> str:
        text = _ADDRESS.sub("https://shop.example", text)
        text = _VERSION.sub(r"\1", text)
        text = _CONNECTIONS.sub("12 of 100 connections", text)
        text = _LINK.sub(r"\1…", text)
        text = self._numbered(_ACCOUNT, text, "acct", lambda number: f"acct_{number:032x}")
        text = self._numbered(_GUEST, text, "guest", lambda number: f"guest_{number:032x}")
        text = self._numbered(_UUID, text, "uuid", lambda number: f"00000000-0000-4000-8000-{number:012x}")
        text = self._numbered(_KEY_ID, text, "key", lambda number: f"{number:012x}")
        text = _MOMENT.sub(self._moment, text)
        return _DAY.sub(lambda match: match[1] if match[1] <= DAY.isoformat() else self._day(match[1]), text)

    def _numbered(self, pattern: re.Pattern[str], text: str, kind: str, name: Callable[[int], str]) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[0] in self._ids.values():
                return match[0]
            if match[0] not in self._ids:
                self._counts[kind] = self._counts.get(kind, 0) + 1
                self._ids[match[0]] = name(self._counts[kind])
            return self._ids[match[0]]

        return pattern.sub(replace, text)

    def _moment(self, match: re.Match[str]) -> str:
        zone = match[2] or ""
        return f"{self._day(match[1])}T12:00:00{'Z' if zone else ''}"

    def _day(self, text: str) -> str:
        return (date.fromisoformat(text) + self._shift).isoformat()


def _is_measured(field: str) -> bool:
    return field.endswith(MEASURED)


def _number(value: float, field: str) -> float:
    if not _is_measured(field) or not value:
        return round(value, 4)
    return MEASURED_INTEGER if isinstance(value, int) else MEASURED_VALUE


def is_alike(one: Any, other: Any) -> bool:
    """Return whether two recordings of one answer have the same fields with values of the same types.

    Null stands for any value, and an empty list for any list. Entries of a list are compared together: which come
    first may differ. What FREE names has other members in each case.
    """
    if one is None or other is None:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(key in FREE or is_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return not one or not other or is_alike(_together(one), _together(other))
    return _kind(one) is _kind(other)


def _together(entries: list[Any]) -> Any:
    """Return an entry with the fields of all entries of a list, each with a value that is not null if there is one."""
    known = [entry for entry in entries if entry is not None]
    if not known or not all(isinstance(entry, dict) for entry in known):
        return known[0] if known else None
    names = {name for entry in known for name in entry}
    return {name: next((e[name] for e in known if e.get(name) is not None), None) for name in names}


def _kind(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def days_before(now: datetime, days: float) -> str:
    """Return a moment this many days before ``now``, in ISO 8601."""
    return (now - timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")
