"""A variable of OpenTelemetry that is not valid turns telemetry off. No request and no job fails."""

import pytest

from tests.integration.conftest import Serve, settings_of
from tests.integration.shop import add_products

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"OTEL_METRICS_EXEMPLAR_FILTER": "nonsense"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "0"},
        {"OTEL_TRACES_SAMPLER_ARG": "1.01"},
    ],
)
def test_requests_and_jobs_are_answered(
    env: dict[str, str], serve: Serve, wrong: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    add_products()
    with settings_of(env | ENDPOINT | wrong):
        shop = serve("recommendations")
        for user in ("ann", "bob", "ann"):
            assert shop.get("/recommendations", params={"user_id": user}).status_code == 200
        assert serve("popular").post("/", json={}).status_code == 200
    said = [record for record in caplog.records if record.getMessage() == "telemetry is off"]
    assert [record.levelname for record in said] == ["ERROR"]
