"""Traces and metrics leave the functions only where an endpoint is set, and Google's takes them from every account."""

from tests.terraform.conftest import Plan
from tests.terraform.test_plan import environment

GOOGLE = "https://telemetry.googleapis.com"
ROLES = {"roles/telemetry.metricsWriter", "roles/telemetry.tracesWriter"}


def test_without_an_endpoint_nothing_is_sent_and_nothing_granted(dev: Plan) -> None:
    for name, function in dev.functions().items():
        assert not any(setting.startswith("OTEL_") for setting in environment(function)), name
    assert dev.by_key("google_project_iam_member", "telemetry") == {}
    assert not {"telemetry", "cloudtrace"} & set(dev.by_key("google_project_service", "api"))


def test_google_s_endpoint_is_known_to_every_function_whose_account_may_write_there(prod: Plan) -> None:
    for name, function in prod.functions().items():
        settings = environment(function)
        assert (settings["OTEL_EXPORTER_OTLP_ENDPOINT"], settings["OTEL_TRACES_SAMPLER_ARG"]) == (GOOGLE, "0.05"), name
    grants = prod.by_key("google_project_iam_member", "telemetry")
    assert set(grants) == {f"{name} {role}" for name in prod.listed.entries for role in ROLES}
    assert all(grant["role"] == key.split()[1] for key, grant in grants.items())
    assert {"telemetry", "cloudtrace"} <= set(prod.by_key("google_project_service", "api"))
