"""A deployed job sends its metrics before it answers: its instance may never run again."""

import httpx
import pytest

from local.telemetry.collector import Collector
from shared.telemetry import spans
from tests.integration.conftest import Serve
from tests.integration.telemetry.conftest import Find

# of a trace that is not kept: metrics do not depend on it
NOT_KEPT = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00"}


def runs(address: str) -> dict[tuple[str, str], int]:
    """Return how often each job ran, by its name and outcome, as the collector knows."""
    counted = {}
    for line in httpx.get(f"{address}/metrics").text.splitlines():
        if line.startswith("aisle_job_duration_seconds_count"):
            labels = dict(pair.split("=") for pair in line.partition("{")[2].partition("}")[0].split(","))
            counted[labels["faas_name"].strip('"'), labels["aisle_outcome"].strip('"')] = int(float(line.split()[-1]))
    return counted


def test_a_deployed_job_sends_its_metrics_before_it_answers(
    traced: Find, serve: Serve, collector: tuple[Collector, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    popular, importing = serve("popular"), serve("import_catalog")
    assert popular.post("/", json={}, headers=NOT_KEPT).status_code == 200
    assert runs(collector[1]) == {}
    monkeypatch.setattr(spans, "IS_DEPLOYED", True)
    assert popular.post("/", json={}, headers=NOT_KEPT).status_code == 200
    assert runs(collector[1]) == {("popular", "succeeded"): 2}
    # a failed run too
    assert importing.post("/", json={"source": "/no/such/catalog.csv"}, headers=NOT_KEPT).status_code >= 400
    assert runs(collector[1]) == {("popular", "succeeded"): 2, ("import_catalog", "failed"): 1}
