"""Structured logs: one JSON line per record, with constant message, fields, and Cloud Logging's severity and trace."""

import contextvars
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import orjson

from shared.domain.json_values import escaped_json
from shared.masking import masked, masked_text
from shared.settings import settings

TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_context: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("log_context")
_STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as a line of JSON that Cloud Logging parses."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break and without credentials."""
        line: dict[str, object] = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
        }
        line.update(_context.get({}))
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line = masked(line)
        try:
            return orjson.dumps(line, default=masked_text, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:
            # A value may repeat client input that cannot be encoded.
            return orjson.dumps(masked(escaped_json(line))).decode()


def configure() -> None:
    """Write log records to standard error as JSON: Aisle's from LOG_LEVEL, those of libraries from WARNING.

    Only the first call in a process has an effect.
    """
    root = logging.getLogger()
    if any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ("functions", "jobs", "shared", "main"):
        logging.getLogger(name).setLevel(settings().log_level)


@contextmanager
def fields(**values: str) -> Iterator[None]:
    """Add fields to every line logged inside the block."""
    token = _context.set(_context.get({}) | values)
    try:
        yield
    finally:
        _context.reset(token)


def trace_fields(traceparent: str | None) -> dict[str, str]:
    """Return Cloud Logging's trace fields for a W3C ``traceparent``; empty if it is missing or malformed."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    if not match:
        return {}
    project = settings().google_cloud_project
    return {
        "logging.googleapis.com/trace": f"projects/{project}/traces/{match[1]}" if project else match[1],
        "logging.googleapis.com/spanId": match[2],
    }


def current_traceparent() -> str | None:
    """Return the ``traceparent`` of the current request; None outside a request or if it has none."""
    return _context.get({}).get("traceparent")


def current_request_id() -> str | None:
    """Return the id of the current request; None outside a request."""
    return _context.get({}).get("request_id")


@contextmanager
def trace_of(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> Iterator[None]:
    """Add the request's id and trace to every line logged inside the block. A recorded span sets the trace itself."""
    traceparent = current_traceparent() or next(
        (value.decode("latin-1") for name, value in headers if name == b"traceparent"), None
    )
    values = {"request_id": request_id} | trace_fields(traceparent)
    if traceparent and len(values) > 1:
        values["traceparent"] = traceparent
    with fields(**values):
        yield
