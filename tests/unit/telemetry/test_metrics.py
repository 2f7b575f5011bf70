"""The documents and the dashboard name the metrics that there are."""

import json
import re

from local.places import ROOT
from shared.telemetry import metrics

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
