"""`terraform/` deploys functions.yaml completely, makes nothing else public, and has no secret in the plan."""

import re

from delivery.workload import BUSY
from tests.terraform.conftest import PROJECT, SECRET_VALUES, Plan

CLOUD_NAME = str.maketrans("_", "-")
PRIMITIVE = {"roles/owner", "roles/editor", "roles/viewer"}


def account_of(name: str) -> str:
    return f"aisle-{name.translate(CLOUD_NAME)}"


def environment(function: dict) -> dict[str, str]:
    return dict(function["service_config"][0]["environment_variables"] or {})


def secrets(function: dict) -> set[str]:
    return {variable["key"] for variable in function["service_config"][0].get("secret_environment_variables", [])}


def test_functions_are_exactly_the_entries(plan: Plan) -> None:
    functions = plan.functions()
    assert set(functions) == set(plan.listed.entries)
    for name, entry in plan.listed.entries.items():
        built, served = functions[name]["build_config"][0], functions[name]["service_config"][0]
        assert functions[name]["name"] == name.translate(CLOUD_NAME)
        assert (built["entry_point"], built["runtime"]) == (name, "python313")
        assert served["available_memory"] == f"{entry.memory}Mi"
        assert served["timeout_seconds"] == entry.timeout_s
        assert served["max_instance_request_concurrency"] == entry.concurrency
        assert 1 <= served["max_instance_count"] <= entry.max_instances


def test_every_function_runs_as_its_own_account(plan: Plan) -> None:
    accounts = {name: values[0]["account_id"] for name, values in plan.inside("google_service_account").items()}
    assert accounts == {name: account_of(name) for name in plan.listed.entries}


def test_everybody_may_call_the_public_functions_only(plan: Plan) -> None:
    invokers = plan.inside("google_cloud_run_v2_service_iam_member")
    public = {name for name, grants in invokers.items() if any(grant.get("member") == "allUsers" for grant in grants)}
    assert public == {name for name, entry in plan.listed.entries.items() if entry.public}
    assert all(grant["role"] == "roles/run.invoker" for grants in invokers.values() for grant in grants)


def test_only_functions_and_the_website_are_public(plan: Plan) -> None:
    public = {
        resource["address"]
        for resource in plan.resources
        if resource["values"].get("member") in ("allUsers", "allAuthenticatedUsers")
    }
    others = {address for address in public if not address.startswith("module.function[")}
    assert others <= {'google_storage_bucket_iam_member.web["this"]'}


def test_everything_else_has_one_caller(dev: Plan) -> None:
    invokers = dev.inside("google_cloud_run_v2_service_iam_member")
    for name, entry in dev.listed.entries.items():
        if not entry.public and (entry.kind == "event" or entry.schedule):
            assert len(invokers[name]) == 1, name
        elif not entry.public:
            # on demand: only administrators of the project, until operators are named
            assert name not in invokers


def test_private_functions_accept_no_calls_from_outside(plan: Plan) -> None:
    for name, function in plan.functions().items():
        ingress, entry = function["service_config"][0]["ingress_settings"], plan.listed.entries[name]
        if entry.kind == "event" or (entry.kind == "job" and entry.schedule):
            assert ingress == "ALLOW_INTERNAL_ONLY"
        else:
            assert ingress in ("ALLOW_ALL", "ALLOW_INTERNAL_AND_GCLB")


def test_behind_the_balancer_public_functions_accept_no_direct_calls(prod: Plan) -> None:
    for name, function in prod.functions().items():
        if prod.listed.entries[name].public:
            assert function["service_config"][0]["ingress_settings"] == "ALLOW_INTERNAL_AND_GCLB"


def test_every_event_function_has_its_subscription(plan: Plan) -> None:
    subscriptions = plan.by_key("google_pubsub_subscription", "event")
    assert set(subscriptions) == {entry.name for entry in plan.listed.of_kind("event")}
    for entry in plan.listed.of_kind("event"):
        subscription = subscriptions[entry.name]
        assert (subscription.get("filter") or "") == entry.filter
        assert subscription["dead_letter_policy"][0]["max_delivery_attempts"] == entry.attempts
        assert subscription["ack_deadline_seconds"] >= min(entry.timeout_s, 600)
        assert subscription["retry_policy"][0]["minimum_backoff"] == f"{entry.min_backoff_s}s"
        assert subscription["retry_policy"][0]["maximum_backoff"] == f"{entry.max_backoff_s}s"
        # the token that the function's IAM requires
        assert len(subscription["push_config"][0]["oidc_token"]) == 1
        assert subscription["expiration_policy"][0]["ttl"] == ""


def test_every_dead_letter_topic_has_its_subscription_and_iam(plan: Plan) -> None:
    topics = plan.by_key("google_pubsub_topic", "dead_letter")
    assert {values["name"] for values in topics.values()} == {f"{topic}-dead-letter" for topic in plan.listed.topics}
    assert set(plan.by_key("google_pubsub_subscription", "dead_letter")) == set(plan.listed.topics)
    publishes = plan.by_key("google_pubsub_topic_iam_member", "dead_letter")
    assert set(publishes) == set(plan.listed.topics)
    takes = plan.by_key("google_pubsub_subscription_iam_member", "dead_letter")
    assert set(takes) == {entry.name for entry in plan.listed.of_kind("event")}
    replayers = plan.by_key("google_pubsub_subscription_iam_member", "replayer")
    readers = {name for name, entry in plan.listed.entries.items() if "/admin" in entry.paths} | {"replay_dead_letters"}
    assert set(replayers) == {f"{name} {topic}" for name in readers for topic in plan.listed.topics}
    for grant in (*publishes.values(), *takes.values()):
        assert re.fullmatch(r"serviceAccount:service-.*@gcp-sa-pubsub\.iam\.gserviceaccount\.com", grant["member"])
    assert {grant["role"] for grant in publishes.values()} == {"roles/pubsub.publisher"}
    assert {grant["role"] for grant in takes.values()} == {"roles/pubsub.subscriber"}


def test_schedules_are_those_of_functions_yaml(plan: Plan) -> None:
    schedules = plan.by_key("google_cloud_scheduler_job", "this")
    expected = {entry.name: entry.schedule for entry in plan.listed.of_kind("job") if entry.schedule}
    assert {name: values["schedule"] for name, values in schedules.items()} == expected
    for name, values in schedules.items():
        assert values["time_zone"] == "Etc/UTC"
        assert values["attempt_deadline"] == f"{min(1800, max(15, plan.listed.entries[name].timeout_s))}s"
        assert len(values["http_target"][0]["oidc_token"]) == 1


def test_settings_follow_from_what_a_function_needs(plan: Plan) -> None:
    for name, function in plan.functions().items():
        entry, settings = plan.listed.entries[name], environment(function)
        assert settings["ENVIRONMENT"] in ("dev", "prod")
        assert settings["GOOGLE_CLOUD_PROJECT"] == PROJECT
        assert ("DATABASE_USER" in settings) == ("postgres" in entry.needs)
        assert ("REDIS_URL" in secrets(function)) == ("redis" in entry.needs)
        assert secrets(function) >= set(entry.secrets)
        assert settings.items() >= dict(entry.environment).items()


def test_every_database_user_is_a_service_account_that_may_log_in(plan: Plan) -> None:
    needing = {entry.name for entry in plan.listed.entries.values() if "postgres" in entry.needs}
    users = plan.by_key("google_sql_user", "function")
    assert {name: user["name"] for name, user in users.items()} == {
        name: f"{account_of(name)}@{PROJECT}.iam" for name in needing
    }
    assert all(user["type"] == "CLOUD_IAM_SERVICE_ACCOUNT" for user in users.values())
    assert {name for name, user in users.items() if user.get("database_roles")} == {"migrate"}
    assert set(plan.by_key("google_project_iam_member", "sql_login")) == needing
    assert set(plan.by_key("google_project_iam_member", "sql_client")) == needing


def test_migrate_names_all_users_that_it_gives_roles_to(plan: Plan) -> None:
    settings = environment(plan.functions()["migrate"])
    listed_users = [settings[f"DATABASE_{role}"].split(",") for role in ("OWNERS", "JOBS", "WRITERS")]
    named = {user for users in listed_users for user in users}
    assert named == {one["name"] for one in plan.of("google_sql_user").values()}
    roles = {environment(one).get("DATABASE_ROLE") for one in plan.functions().values()}
    assert roles == {None, "aisle_app", "aisle_jobs", "cloudsqlsuperuser"}


def test_functions_open_fewer_connections_than_postgres_takes(plan: Plan) -> None:
    flags = {
        flag["name"]: flag["value"]
        for flag in plan.by_key("google_sql_database_instance", "this")[""]["settings"][0]["database_flags"]
    }
    opened = sum(
        function["service_config"][0]["max_instance_count"] * int(environment(function)["DATABASE_POOL_SIZE"])
        for function in plan.functions().values()
        if "DATABASE_POOL_SIZE" in environment(function)
    )
    assert opened + 15 <= int(flags["max_connections"])
    assert flags["cloudsql.iam_authentication"] == "on"


def test_by_default_private_services_are_reached_through_the_connector(dev: Plan) -> None:
    for change in dev.document["resource_changes"]:
        if change["type"] != "google_cloudfunctions2_function":
            continue
        name = change["address"].split('"')[1]
        service = change["change"]["after_unknown"]["service_config"][0]
        private = bool({"postgres", "redis"} & set(dev.listed.entries[name].needs))
        assert bool(service.get("vpc_connector")) == private, name


def test_direct_egress_gives_an_interface_and_no_connector(prod: Plan) -> None:
    for name, function in prod.functions().items():
        service = function["service_config"][0]
        private = bool({"postgres", "redis"} & set(prod.listed.entries[name].needs))
        assert not service.get("vpc_connector")
        assert len(service["direct_vpc_network_interface"]) == int(private)


def test_publishers_are_those_that_need_pubsub(plan: Plan) -> None:
    publishers = set(plan.by_key("google_pubsub_topic_iam_member", "publisher"))
    needing = [entry.name for entry in plan.listed.entries.values() if "pubsub" in entry.needs]
    assert {pair.split()[0] for pair in publishers} == set(needing)


def test_no_role_is_primitive(plan: Plan) -> None:
    roles = {resource["values"]["role"] for resource in plan.resources if "role" in resource["values"]}
    assert roles
    assert not roles & PRIMITIVE


def test_every_bucket_and_the_database_are_private(plan: Plan) -> None:
    for address, bucket in plan.of("google_storage_bucket").items():
        assert bucket["uniform_bucket_level_access"]
        if ".web[" not in address:
            assert bucket["public_access_prevention"] == "enforced"
    database = plan.by_key("google_sql_database_instance", "this")[""]
    assert database["settings"][0]["ip_configuration"][0]["ipv4_enabled"] is False


def test_no_secret_value_is_in_the_plan(plan: Plan) -> None:
    versions = plan.of("google_secret_manager_secret_version")
    assert versions
    for values in versions.values():
        assert values.get("secret_data") is None
        assert values.get("secret_data_wo") is None
    assert not [value for value in SECRET_VALUES if value in plan.text]
    assert not plan.of("random_password")
    for user in plan.of("google_sql_user").values():
        assert user.get("password") is None


def test_every_secret_of_functions_yaml_is_created(plan: Plan) -> None:
    expected = {secret for entry in plan.listed.entries.values() for secret in entry.secrets}
    assert set(plan.by_key("google_secret_manager_secret", "this")) == expected


def test_a_function_reads_its_own_secrets_only(plan: Plan) -> None:
    readers = plan.inside("google_secret_manager_secret_iam_member")
    for name, entry in plan.listed.entries.items():
        expected = len(entry.secrets) + ("redis" in entry.needs)
        assert len(readers.get(name, [])) == expected, name


def test_the_balancer_sends_each_path_to_its_function(prod: Plan) -> None:
    matcher = prod.by_key("google_compute_url_map", "this")["this"]["path_matcher"][0]
    patterns = {path for rule in matcher["path_rule"] for path in rule["paths"]}
    expected = {
        pattern
        for path, name in prod.listed.paths.items()
        if prod.listed.entries[name].public
        for pattern in ((path,) if path == "/" else (path, f"{path}/*", f"/api/v1{path}", f"/api/v1{path}/*"))
    }
    assert patterns == expected
    assert prod.document["planned_values"]["outputs"]["url"]["value"] == "https://shop.example.com"


def test_every_public_function_is_watched(plan: Plan) -> None:
    public = {entry.name for entry in plan.listed.entries.values() if entry.public}
    assert set(plan.by_key("google_monitoring_uptime_check_config", "function")) == public
    assert set(plan.by_key("google_monitoring_slo", "availability")) == public
    assert set(plan.by_key("google_monitoring_slo", "latency")) == public
    assert len(plan.by_key("google_monitoring_alert_policy", "burn")) == 4 * len(public)
    alerts = set(plan.by_key("google_monitoring_alert_policy", "this"))
    assert alerts >= {"dead-letters", "job-failures", "sql-connections", "sql-disk", "redis-memory", "redis-cpu"}


def test_the_alert_on_the_thread_of_redis_is_the_share_that_the_capacity_plan_keeps(plan: Plan) -> None:
    (condition,) = plan.by_key("google_monitoring_alert_policy", "this")["redis-cpu"]["conditions"]
    (threshold,) = condition["condition_threshold"]
    assert threshold["threshold_value"] == BUSY
    # seconds by the second, of both ways in which a thread works, and of each node by itself
    (aggregation,) = threshold["aggregations"]
    assert (aggregation["per_series_aligner"], aggregation["cross_series_reducer"]) == ("ALIGN_RATE", "REDUCE_SUM")
    assert "resource.labels.node_id" in aggregation["group_by_fields"]


def test_in_production_the_database_and_the_cache_are_protected(prod: Plan) -> None:
    database = prod.by_key("google_sql_database_instance", "this")[""]
    assert database["deletion_protection"] is True
    assert database["settings"][0]["availability_type"] == "REGIONAL"
    assert prod.of("google_redis_instance")["google_redis_instance.this[0]"]["deletion_protection"] is True


def test_the_pipeline_cannot_make_itself_an_owner(prod: Plan) -> None:
    grants = prod.by_key("google_project_iam_member", "delivery_grants")["0"]
    expression = grants["condition"][0]["expression"]
    assert "hasOnly" in expression
    assert not [role for role in PRIMITIVE if f"'{role}'" in expression]
