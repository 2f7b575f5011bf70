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
from shared.telemetry.flushing import Flusher

log = logging.getLogger(__name__)

GOOGLE_HOST: Final = "telemetry.googleapis.com"
GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
# traces a second and process that callers can have kept by setting the flag `sampled`
CALLER_TRACES_PER_S: Final = 10
FLUSH_S: Final = 1.0
EXPORT_TIMEOUT_S: Final = 5.0
_span_flusher: Final = Flusher("spans")
_metric_flusher: Final = Flusher("metrics")
# held while the SDK is set up: threads that begin at once must not get a provider each, of which one is never flushed
_set_up: Final = threading.RLock()


def drawn_trace_id() -> int:
    """Return a trace id that no caller has chosen."""
    return secrets.randbits(128)


class CallerSampler(Sampler):
    """Keeps the traces that callers ask for, up to CALLER_TRACES_PER_S; beyond that, ``otherwise`` decides.

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
            return self._kept <= CALLER_TRACES_PER_S

    def get_description(self) -> str:
        """Return the sampler's name."""
        return f"CallerSampler({CALLER_TRACES_PER_S}/s)"


def _session() -> Any:
    """Return an HTTP session that is authorised at Google's endpoint; None for any other one.

    Without credentials, too, it is None: the endpoint then refuses every export, and no request fails because of that.
    """
    if urlsplit(settings().require("otel_exporter_otlp_endpoint")).hostname != GOOGLE_HOST:
        return None
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession

    try:
        credentials, project = google.auth.default(scopes=[GOOGLE_SCOPE])
    except GoogleAuthError as error:
        log.error("telemetry has no credentials", extra={"error": str(error)[:500]})
        return None
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
        resource=_resource(), sampler=ParentBased(by_chance, remote_parent_sampled=CallerSampler(by_chance))
    )
    exporter = OTLPSpanExporter(_endpoint("traces"), session=_session(), timeout=EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@cache
def _tracer() -> trace.Tracer:
    return _tracers().get_tracer("aisle")


def tracer() -> trace.Tracer:
    """Return the process's tracer."""
    with _set_up:
        return _tracer()


@cache
def _meters() -> MeterProvider:
    exporter = OTLPMetricExporter(_endpoint("metrics"), session=_session(), timeout=EXPORT_TIMEOUT_S)
    resource = _resource()
    # A reader collects in a thread as soon as it exists, and warns until the process ends if no provider takes it. So a
    # provider without readers comes first: it refuses the settings that the real one would refuse.
    MeterProvider(resource=resource, shutdown_on_exit=False)
    return MeterProvider([PeriodicExportingMetricReader(exporter)], resource=resource)


def meter() -> Any:
    """Return the process's meter."""
    with _set_up:
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


def flush() -> None:
    """Send the spans that wait, within FLUSH_S. An instance without a request has no processor time to send them."""
    _span_flusher.flush(_tracers().force_flush, FLUSH_S)


def flush_metrics() -> None:
    """Send the metrics as they are, within FLUSH_S."""
    _metric_flusher.flush(_meters().force_flush, FLUSH_S)


@closed_on_reset
def close() -> None:
    """Send what waits, and forget the SDK."""
    if _tracers.cache_info().currsize:
        _tracers().shutdown()
    if _meters.cache_info().currsize:
        _meters().shutdown()
    for cached in (_tracers, _tracer, _meters):
        cached.cache_clear()
