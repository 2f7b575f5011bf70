"""Values add up by their metric's kind, and the documents and the dashboard name the metrics that there are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData

from local.places import ROOT
from shared.telemetry import exporting, metrics

SUFFIXES = {metrics.Kind.HISTOGRAM: "_seconds", metrics.Kind.COUNTER: "_total", metrics.Kind.GAUGE: ""}
NAMES = {metric.name.replace(".", "_") + SUFFIXES[metric.kind] for metric in metrics.METRICS}


def test_every_metric_has_a_row_with_its_unit_in_the_document() -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \| (\S+) \| ", (ROOT / "docs/observability.md").read_text(), re.MULTILINE)
    assert [(name, unit) for name, unit in rows if name.startswith(("aisle.", "http."))] == [
        (metric.name, metric.unit) for metric in metrics.METRICS
    ]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((ROOT / "docs/observability/grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for query in queries
        # labels stand in braces, or in the parentheses of `by`
        for name in re.findall(r"(?:aisle|http_server)_[a-z_]+", re.sub(r"\{[^}]*\}|by \([^)]*\)", "", query))
    }
    assert asked == NAMES


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """Record into memory."""
    kept = InMemoryMetricReader()
    provider = MeterProvider([kept])
    monkeypatch.setattr(metrics, "is_on", lambda: True)
    monkeypatch.setattr(exporting, "meter", lambda: provider.get_meter("a-test"))
    metrics.close()
    yield kept
    metrics.close()
    provider.shutdown()


def points(reader: InMemoryMetricReader) -> dict[tuple[str, str], Any]:
    """Return the points by metric and the value of their only attribute, empty without one."""
    data = reader.get_metrics_data()
    assert isinstance(data, MetricsData)
    return {
        (metric.name, "".join(str(value) for value in point.attributes.values())): point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_a_counter_adds_a_gauge_keeps_the_last_and_a_histogram_counts_by_size(reader: InMemoryMetricReader) -> None:
    for version in (7, 5):
        metrics.record(metrics.MODEL_VERSION, version, {})
    for results, count in (("some", 2), ("none", 1), ("some", 3)):
        metrics.record(metrics.SEARCHES, count, {"aisle.results": results})
    # a limit of a bucket belongs to it
    for seconds in (0.0005, 0.001, 0.0011, 3600, 3601):
        metrics.record(metrics.JOB_DURATION, seconds, {})
    kept = points(reader)
    assert kept["aisle.model.version", ""].value == 5
    assert (kept["aisle.searches", "some"].value, kept["aisle.searches", "none"].value) == (5, 1)
    histogram = kept["aisle.job.duration", ""]
    assert tuple(histogram.explicit_bounds) == metrics.BUCKETS_S
    counted = {place: count for place, count in enumerate(histogram.bucket_counts) if count}
    assert counted == {0: 2, 1: 1, len(metrics.BUCKETS_S) - 1: 1, len(metrics.BUCKETS_S): 1}
