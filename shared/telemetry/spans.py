"""Spans: which work a request caused, and how long it took, across processes.

Nothing is recorded, and OpenTelemetry is not imported, unless OTEL_EXPORTER_OTLP_ENDPOINT is set. A span that receives
or sends puts its ``traceparent`` into the fields of the log, from which messages take it.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, Literal

from shared import logs
from shared.clients import closed_on_reset
from shared.settings import settings

log = logging.getLogger(__name__)

Kind = Literal["server", "consumer", "producer", "client", "internal"]
Value = str | int | float | bool
# attribute that finds a trace by the id that a response names
REQUEST_ID: Final = "aisle.request_id"
# attribute with the function or job whose work it is
FUNCTION: Final = "faas.name"
# characters of a statement that a span keeps; the beginning tells statements apart
STATEMENT_CHARACTERS: Final = 300
IS_DEPLOYED: Final = "K_SERVICE" in os.environ
# held while the SDK is tried, so that a failure is logged once
_trying: Final = threading.Lock()


class Span:
    """A span, or one of a trace that is not recorded, whose methods do nothing."""

    def __init__(self, recorded: Any = None) -> None:
        self._recorded = recorded

    @property
    def is_recorded(self) -> bool:
        """Whether the trace was chosen to be kept."""
        return self._recorded is not None and self._recorded.is_recording()

    def set(self, name: str, value: Value) -> None:
        """Set an attribute."""
        if self._recorded is not None:
            self._recorded.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Replace the name, which an HTTP request has only once its route is known."""
        if self._recorded is not None:
            self._recorded.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark the work as failed, unless the span has ended."""
        if self.is_recorded:
            from opentelemetry.trace import Status, StatusCode

            self._recorded.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """End the span before its block ends."""
        if self._recorded is not None and self._recorded.is_recording():
            self._recorded.end()

    def flush(self) -> None:
        """Export what waits, if the trace is kept. A deployed instance has processor time only while it answers."""
        if self._recorded is not None and IS_DEPLOYED and self._recorded.get_span_context().trace_flags.sampled:
            from shared.telemetry import exporting

            exporting.flush()


NO_SPAN: Final = Span()


def is_on() -> bool:
    """Return whether spans and metrics are exported."""
    config = settings()
    if config.otel_exporter_otlp_endpoint is None or config.otel_sdk_disabled:
        return False
    # what is cached is read without the lock
    return _is_set_up() if _is_set_up.cache_info().currsize else _try()


def _try() -> bool:
    with _trying:
        return _is_set_up()


@cache
def _is_set_up() -> bool:
    """Set up the SDK, and return whether that succeeded.

    It reads variables of its own, and raises for some values. No request may fail because of them.
    """
    try:
        from shared.telemetry import exporting

        exporting.tracer()
        exporting.meter()
    except Exception as error:  # noqa: BLE001 — whatever it is, the answer is worth more than its record
        # the reason seldom names the variable, and a value may be secret
        variables = sorted(name for name in os.environ if name.startswith("OTEL_"))
        reason = f"{type(error).__name__}: {error}"[:500]
        log.error("telemetry is off", extra={"reason": reason, "variables": variables})
        return False
    return True


@closed_on_reset
def close() -> None:
    """Try the SDK again at next use."""
    _is_set_up.cache_clear()


@contextmanager
def span(
    name: str, kind: Kind, attributes: Mapping[str, Value], *, traceparent: str | None = None, since_s: float = 0
) -> Iterator[Span]:
    """Record the block as a span of the trace that ``traceparent`` names, else of the current one, else of a new one.

    An exception that leaves the block marks the span as failed. The work began ``since_s`` seconds ago.
    """
    if not is_on():
        yield NO_SPAN
        return
    from opentelemetry import trace

    from shared.telemetry import exporting

    with exporting.tracer().start_as_current_span(
        name,
        context=exporting.context_of(traceparent) if traceparent else None,
        record_exception=False,
        set_status_on_exception=False,
        kind=trace.SpanKind[kind.upper()],
        attributes=dict(attributes),
        start_time=time.time_ns() - int(since_s * 1e9),
        end_on_exit=False,
    ) as recorded:
        own = Span(recorded)
        try:
            if kind in ("client", "internal"):
                yield own
            else:
                parent = exporting.traceparent_of(recorded.get_span_context())
                with logs.fields(traceparent=parent, **logs.trace_fields(parent)):
                    yield own
        except BaseException as error:
            # start_as_current_span would record it on a span that has ended
            own.fail(type(error).__name__)
            raise
        finally:
            own.end()


@contextmanager
def database_call(system: str, text: str) -> Iterator[None]:
    """Record the block as a call of a database, if it belongs to a trace that is kept.

    ``text`` is the statement without its parameters, which may be personal data.
    """
    if not is_on():
        yield
        return
    from opentelemetry import trace

    if not trace.get_current_span().is_recording():
        yield
        return
    summary = " ".join(text.split())[:STATEMENT_CHARACTERS]
    with span(system, "client", {"db.system.name": system, "db.query.text": summary}):
        yield
