"""What spans and metrics have of a request."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.http.answers import CACHE_HIT, CACHE_MISS
from shared.http.observed import METHODS, method_of, observed
from shared.telemetry import exporting, metrics, spans


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Keep the attributes of recorded metrics; spans go into memory."""
    kept: list[dict[str, Any]] = []
    monkeypatch.setattr(spans, "is_on", lambda: True)
    monkeypatch.setattr(metrics, "record", lambda _metric, _value, attributes: kept.append(dict(attributes)))
    return kept


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, recorded: list[dict[str, Any]]) -> Iterator[InMemorySpanExporter]:
    """Record spans into memory."""
    assert recorded == []
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(exporting, "tracer", lambda: provider.get_tracer("a-test"))
    yield kept
    provider.shutdown()


def answered(
    exported: InMemorySpanExporter, status: int, route: Any, headers: list[tuple[bytes, bytes]]
) -> ReadableSpan:
    """Return the span of a request with this response."""
    exported.clear()
    scope = {"type": "http", "method": "GET", "path": "/ann@shop.example", "headers": [], "route": route}
    with observed("products", scope, "request-1") as request:
        assert request is not None
        request.begin_response(scope, {"type": "http.response.start", "status": status, "headers": headers})
    (span,) = exported.get_finished_spans()
    return span


@pytest.mark.parametrize(("status", "is_failure"), [(200, False), (499, False), (500, True), (503, True)])
def test_a_failure_is_a_status_of_the_server(
    exported: InMemorySpanExporter, recorded: list[dict[str, Any]], status: int, is_failure: bool
) -> None:
    span = answered(exported, status, SimpleNamespace(path="/products/{product_id}"), [])
    assert span.status.is_ok != is_failure
    assert span.name == "GET /products/{product_id}"
    # once, though the request was finished and its block ended
    assert recorded == [
        {
            "faas.name": "products",
            "http.request.method": "GET",
            "http.route": "/products/{product_id}",
            "http.response.status_code": status,
            "aisle.cache": "none",
        }
    ]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], "none"),
        ([(b"cache-status", CACHE_HIT.encode())], "hit"),
        ([(b"cache-status", CACHE_MISS.encode())], "miss"),
        ([(b"x-cache-status", CACHE_HIT.encode())], "none"),
    ],
)
def test_a_stored_answer_is_told_from_a_computed_one(
    exported: InMemorySpanExporter, recorded: list[dict[str, Any]], headers: list[tuple[bytes, bytes]], expected: str
) -> None:
    span = answered(exported, 200, SimpleNamespace(path="/popular"), headers)
    assert ((span.attributes or {})["aisle.cache"], recorded[0]["aisle.cache"]) == (expected, expected)


def test_a_path_that_no_route_has_is_not_repeated(
    exported: InMemorySpanExporter, recorded: list[dict[str, Any]]
) -> None:
    span = answered(exported, 404, None, [])
    assert (span.name, recorded[0]["http.route"]) == ("GET unknown", "unknown")
    assert "ann@" not in span.to_json()


@pytest.mark.parametrize("method", ["get", "GETS", "PROPFIND", "", "ann@shop.example"])
def test_a_word_that_is_no_method_is_no_series_of_its_own(method: str) -> None:
    assert method_of({"type": "http", "method": method}) == "_OTHER"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_standard_method_keeps_its_name(method: str) -> None:
    assert method_of({"type": "http", "method": method}) == method
