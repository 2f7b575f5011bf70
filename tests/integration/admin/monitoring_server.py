"""A stand-in for Cloud Monitoring's REST method projects.timeSeries.list.

Requests and answers have the fields of its reference, https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TimeSeries:
int64 as text, points newest first, a page of a few series at a time.
"""

import re
from contextlib import AbstractContextManager
from datetime import datetime
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.integration.answering import JsonHandler, serving

PATH = "/v3/projects/aisle-local/timeSeries"
REQUIRED = {"filter", "interval.endTime", "view"}
KNOWN = REQUIRED | {
    "interval.startTime",
    "pageToken",
    "aggregation.alignmentPeriod",
    "aggregation.perSeriesAligner",
    "aggregation.crossSeriesReducer",
    "aggregation.groupByFields",
}


class Monitoring(ThreadingHTTPServer):
    """Answers with the series of ``series`` by metric type, which a filter's conditions narrow."""

    daemon_threads = True
    page_size = 2

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        self.series: dict[str, list[dict[str, Any]]] = {}
        # a status and a message by metric type
        self.failing: dict[str, tuple[int, str]] = {}
        self.queries: list[dict[str, list[str]]] = []

    def add(self, metric: str, points: list[dict[str, Any]], labels: dict[str, str], **resource: str) -> None:
        """Add a series."""
        self.series.setdefault(metric, []).append(
            {
                "metric": {"type": metric, "labels": labels},
                "resource": {"type": "any", "labels": {"project_id": "aisle-local", **resource}},
                "metricKind": "DELTA",
                "valueType": "INT64",
                "points": sorted(points, key=lambda point: str(point["interval"]["endTime"]), reverse=True),
            }
        )


def point(end: datetime, value: dict[str, Any], start: datetime | None = None) -> dict[str, Any]:
    """Return a point of a series."""
    times = {"startTime": (start or end), "endTime": end}
    return {"interval": {name: f"{each:%Y-%m-%dT%H:%M:%S}Z" for name, each in times.items()}, "value": value}


class Handler(JsonHandler):
    server: Monitoring

    def refuse(self, status: int, message: str) -> None:
        self.answer({"error": {"code": status, "message": message, "status": "ANY"}}, status)

    def do_GET(self) -> None:  # noqa: N802 — named by http.server
        address = urlsplit(self.path)
        query = parse_qs(address.query, strict_parsing=True)
        self.server.queries.append(query)
        if address.path != PATH or not set(query) >= REQUIRED or not set(query) <= KNOWN:
            return self.refuse(400, f"Field not known, or missing: {self.path}")
        if ("aggregation.perSeriesAligner" in query) != ("aggregation.alignmentPeriod" in query):
            return self.refuse(400, "An aligner needs an alignment period.")
        if "aggregation.groupByFields" in query and "aggregation.crossSeriesReducer" not in query:
            return self.refuse(400, "groupByFields needs a crossSeriesReducer.")
        metric = re.match(r'metric\.type = "([^"]+)"', query["filter"][0])
        if metric is None:
            return self.refuse(400, "The filter must specify a single metric type.")
        if metric[1] in self.server.failing:
            return self.refuse(*self.server.failing[metric[1]])
        found = [each for each in self.server.series.get(metric[1], []) if self.matches(each, query["filter"][0])]
        start = int(query.get("pageToken", ["0"])[0])
        end = start + self.server.page_size
        body: dict[str, Any] = {"unit": "1"}
        if found:
            body["timeSeries"] = found[start:end]
        if end < len(found):
            body["nextPageToken"] = str(end)
        return self.answer(body)

    @staticmethod
    def matches(series: dict[str, Any], text: str) -> bool:
        """Return whether a series meets every condition on its labels."""
        for part, label, condition in re.findall(
            r"(resource|metric)\.labels\.(\w+) = (\"[^\"]*\"|one_of\([^)]*\))", text
        ):
            allowed = re.findall(r'"([^"]*)"', condition)
            if series[part]["labels"].get(label) not in allowed:
                return False
        return True


def monitoring() -> AbstractContextManager[Monitoring]:
    """Run a stand-in."""
    return serving(Monitoring())
