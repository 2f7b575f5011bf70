"""What holds for every request holds in the cloud too: cache keys as at the edge, logs without values."""

from shared.http.edge import TRACKING_PARAMETERS
from tests.terraform.conftest import Plan


def test_tracking_parameters_split_no_cache(prod: Plan) -> None:
    services = prod.by_key("google_compute_backend_service", "function").values()
    policies = [
        policy["cache_key_policy"][0]
        for service in services
        if service["enable_cdn"]
        for policy in service["cdn_policy"]
    ]
    assert policies
    for policy in policies:
        assert policy["include_query_string"] is True
        assert sorted(policy["query_string_blacklist"]) == sorted((*TRACKING_PARAMETERS, "key"))


def test_postgres_logs_no_values(plan: Plan) -> None:
    settings = plan.by_key("google_sql_database_instance", "this")[""]["settings"][0]
    flags = {flag["name"]: flag["value"] for flag in settings["database_flags"]}
    assert flags["log_error_verbosity"] == "terse"
    # statements are logged with their parameters, so only those that change the schema are
    assert flags["log_statement"] == "ddl"
