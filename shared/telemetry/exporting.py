"""OpenTelemetry's SDK, set up once per process on first use. Imported only while telemetry is on.

The standard variables configure it (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/);
docs/observability.md says which matter here.
"""

import logging
import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)

from shared.clients import closed_on_reset
from shared.logs import TRACEPARENT
from shared.settings import settings

log = logging.getLogger(__name__)

GOOGLE_HOST: Final = "telemetry.googleapis.com"
GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
# traces a second and process that a caller can have kept by setting the flag `sampled`
MOST_ASKED_PER_S: Final = 10
FLUSH_MS: Final = 1_000
EXPORT_TIMEOUT_S: Final = 5.0


def drawn_trace_id() -> int:
    """Return a trace id that no caller has chosen."""
    return secrets.randbits(128)


class AskedFor(Sampler):
    """Keeps a trace whose caller asks for it, up to MOST_ASKED_PER_S; beyond, chance decides as for any other.

    ``otherwise`` decides by a trace id. The caller has chosen the one of the trace, and could choose one that is always
    kept, so the decision is by a drawn one.
    """

    def __init__(
        self,
        otherwise: Sampler,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], int] = drawn_trace_id,
    ) -> None:
        self._otherwise = otherwise
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()
        self._second = 0
        self._kept = 0

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002 — see above: the caller has chosen it
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        """Return the decision. A message comes from our own publisher, which was bounded already."""
        if kind is trace.SpanKind.CONSUMER or self._has_room():
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._otherwise.should_sample(parent_context, self._draw(), name, kind, attributes, links, trace_state)

    def _has_room(self) -> bool:
        """Count a trace in this second, and return whether it is one of the first."""
        with self._lock:
            if (second := int(self._clock())) != self._second:
                self._second, self._kept = second, 0
            self._kept += 1
            return self._kept <= MOST_ASKED_PER_S

    def get_description(self) -> str:
        """Return the sampler's name."""
        return f"AskedFor({MOST_ASKED_PER_S}/s)"


def _session() -> Any:
    """Return an HTTP session that is authorised at Google's endpoint; None for any other one."""
    if urlsplit(settings().require("otel_exporter_otlp_endpoint")).hostname != GOOGLE_HOST:
        return None
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, project = google.auth.default(scopes=[GOOGLE_SCOPE])
    if hasattr(credentials, "with_quota_project"):
        credentials = credentials.with_quota_project(settings().google_cloud_project or project)
    return AuthorizedSession(credentials)


def _resource() -> Resource:
    """Return what all spans and metrics of this process have in common."""
    name = os.environ.get("OTEL_SERVICE_NAME") or os.environ.get("K_SERVICE") or os.environ.get("FUNCTION_TARGET")
    attributes = {
        "service.name": name or "aisle",
        "service.namespace": "aisle",
        "service.version": os.environ.get("K_REVISION", "local"),
        "service.instance.id": str(uuid.uuid4()),
        "deployment.environment.name": settings().environment,
    }
    if project := settings().google_cloud_project:
        # Google's endpoint refuses spans without it
        attributes["gcp.project_id"] = project
    return Resource.create(attributes)


def _endpoint(signal: str) -> str:
    return f"{settings().require('otel_exporter_otlp_endpoint').rstrip('/')}/v1/{signal}"


@cache
def _tracers() -> TracerProvider:
    by_chance = TraceIdRatioBased(settings().otel_traces_sampler_arg)
    provider = TracerProvider(
        resource=_resource(), sampler=ParentBased(by_chance, remote_parent_sampled=AskedFor(by_chance))
    )
    exporter = OTLPSpanExporter(_endpoint("traces"), session=_session(), timeout=EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@cache
def tracer() -> trace.Tracer:
    """Return the process's tracer."""
    return _tracers().get_tracer("aisle")


@cache
def _meters() -> MeterProvider:
    exporter = OTLPMetricExporter(_endpoint("metrics"), session=_session(), timeout=EXPORT_TIMEOUT_S)
    return MeterProvider([PeriodicExportingMetricReader(exporter)], resource=_resource())


@cache
def meter() -> Any:
    """Return the process's meter."""
    return _meters().get_meter("aisle")


def context_of(traceparent: str) -> Context | None:
    """Return the context of a W3C ``traceparent``; None if it is malformed."""
    match = TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    remote = trace.SpanContext(
        int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=trace.TraceFlags(int(traceparent[-2:], 16))
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), Context()) if remote.is_valid else None


def traceparent_of(context: trace.SpanContext) -> str:
    """Return the W3C ``traceparent`` that continues a span."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


class Flusher:
    """Runs ``send`` in a thread, for callers that wait at most ``wait_s`` for it.

    The SDK ignores the time that it is given: it waits until the receiver answers or the exporter gives up, and all
    callers wait for each other. After a run that took too long only the caller that begins the next one waits: a
    receiver that does not answer would otherwise hold every thread that serves requests.
    """

    def __init__(self, send: Callable[[], object], wait_s: float) -> None:
        self._send = send
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._running: threading.Event | None = None
        self._next: threading.Event | None = None
        self._is_slow = False

    def flush(self) -> bool:
        """Return whether everything that waited at the call was sent, or given up, in time."""
        with self._lock:
            if self._running is None:
                done = self._running = threading.Event()
                threading.Thread(target=self._run, args=[done], name="telemetry-flush", daemon=True).start()
            elif self._is_slow:
                return False
            else:
                # the run under way may have taken its spans before this call
                done = self._next = self._next or threading.Event()
        is_done = done.wait(self._wait_s)
        with self._lock:
            self._is_slow = not is_done
        return is_done

    def _run(self, done: threading.Event | None) -> None:
        while done is not None:
            try:
                self._send()
            except Exception as error:  # noqa: BLE001 — callers wait for the end of the run, however it ends
                log.warning("spans not sent", extra={"error": type(error).__name__})
            with self._lock:
                done.set()
                done = self._running = self._next
                self._next = None


@cache
def _flusher() -> Flusher:
    return Flusher(_tracers().force_flush, FLUSH_MS / 1000)


def flush() -> None:
    """Send the spans that wait, within FLUSH_MS. An instance without a request has no processor time to send them."""
    _flusher().flush()


def flush_metrics() -> None:
    """Send all metrics now, within FLUSH_MS."""
    _meters().force_flush(FLUSH_MS)


@closed_on_reset
def close() -> None:
    """Send what waits, and forget the SDK."""
    if _tracers.cache_info().currsize:
        _tracers().shutdown()
    if _meters.cache_info().currsize:
        _meters().shutdown()
    for cached in (_flusher, _tracers, tracer, _meters, meter):
        cached.cache_clear()
