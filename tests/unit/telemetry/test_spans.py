"""Spans cost nothing while they are off."""

import subprocess
import sys

import pytest

from local.places import ROOT

PROBE = """
import sys
from shared.telemetry import metrics, spans
with spans.span("a", "server", {}) as span, spans.database_call("postgresql", "SELECT 1"):
    span.set("a", 1)
    span.fail("no")
    metrics.record(metrics.SEARCHES, 1, {})
print(span is spans.NO_SPAN, span.is_recorded, "opentelemetry" in sys.modules)
"""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "True False False"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
            "True False False",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1"},
            "False False True",
        ),
        # without Google's credentials spans are recorded in vain, and the work goes on
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://telemetry.googleapis.com",
                "GOOGLE_APPLICATION_CREDENTIALS": "/no/such/file",
            },
            "False False True",
        ),
    ],
)
def test_without_an_endpoint_nothing_is_recorded_and_the_library_is_not_imported(
    environment: dict[str, str], expected: str
) -> None:
    # of the third the last value shows that the probe can tell: the span has ended, so it records no longer
    command = [sys.executable, "-P", "-c", PROBE + "import os; sys.stdout.flush(); os._exit(0)"]
    process = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == expected
