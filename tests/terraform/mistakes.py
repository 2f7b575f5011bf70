"""Plant each known mistake in a copy of terraform/ and see that a rule or a precondition refuses it.

    python3 -m tests.terraform.mistakes

A mistake that nothing refuses would pass the tests, and fail in the cloud. Exit code 1: some were missed. Exit code 2:
there is no Terraform that plans offline.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.terraform.conftest import PROD, TOOL, Terraform
from tests.terraform.rules import violations

DEV = ("-var-file=envs/dev.tfvars",)
CONNECTOR = (*PROD, "-var=vpc_egress=connector")
LIVE = (*DEV, "-var=domain=shop.example.com")
OTHER_TELEMETRY = (*PROD, "-var=otlp_endpoint=https://telemetry.example.com")


class Mistake(NamedTuple):
    """Text that replaces other text in a file, the profile in which it matters, and what refuses it."""

    name: str
    file: str
    old: str
    new: str
    refused_by: str
    profile: Sequence[str] = PROD


FUNCTION = "terraform/modules/function/main.tf"
FEED_SECRETS = """
  condition {
    title      = "secrets-of-feeds"
    expression = "resource.name.startsWith(\\"projects/${data.google_project.this.number}/secrets/aisle-feed-\\")"
  }
"""
MISTAKES = (
    Mistake(
        "pushes are signed for a constant",
        "terraform/messaging.tf",
        "audience              = module.function[each.key].url",
        'audience              = "https://aisle.example.com"',
        "access.pushes_are_signed",
    ),
    Mistake(
        "pushes are signed for a name",
        "terraform/messaging.tf",
        "audience              = module.function[each.key].url",
        "audience              = module.function[each.key].service",
        "access.pushes_are_signed",
    ),
    Mistake(
        "Pub/Sub's agent may use the push account instead of signing for it",
        "terraform/messaging.tf",
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.serviceAccountUser",
        "access.pushes_are_signed",
    ),
    Mistake(
        "all traffic goes through the connector",
        FUNCTION,
        '"PRIVATE_RANGES_ONLY"',
        '"ALL_TRAFFIC"',
        "capacity.only_private_traffic",
        CONNECTOR,
    ),
    Mistake(
        "all traffic goes through the network",
        FUNCTION,
        '"VPC_EGRESS_PRIVATE_RANGES_ONLY"',
        '"VPC_EGRESS_ALL_TRAFFIC"',
        "capacity.only_private_traffic",
    ),
    Mistake(
        "one proxy is trusted too few",
        "terraform/functions.tf",
        'local.behind_balancer ? "2" : "1"',
        'local.behind_balancer ? "1" : "1"',
        "access.public_functions",
    ),
    Mistake(
        "one proxy is trusted too many",
        "terraform/functions.tf",
        'local.behind_balancer ? "2" : "1"',
        'local.behind_balancer ? "2" : "2"',
        "access.public_functions",
        DEV,
    ),
    Mistake(
        "destroying deletes the peering",
        "terraform/network.tf",
        '  deletion_policy = "ABANDON"\n',
        "",
        "capacity.what_blocks",
    ),
    Mistake(
        "destroying drops the database before its instance",
        "terraform/database.tf",
        'fails while a function is connected\n  deletion_policy = "ABANDON"\n',
        "fails while a function is connected\n",
        "capacity.what_blocks",
    ),
    Mistake(
        "the builder reads another bucket than the staging one",
        "terraform/iam.tf",
        '"builder_staging" {\n  project = var.project_id\n  role    = "roles/storage.objectViewer"',
        '"builder_staging" {\n  project = var.project_id\n  role    = "roles/storage.objectCreator"',
        "access.functions_have_the_builder",
    ),
    Mistake(
        "functions do not wait for the builder's staging grant",
        "terraform/iam.tf",
        "    google_project_iam_member.builder,\n    google_project_iam_member.builder_staging,\n",
        "    google_project_iam_member.builder,\n",
        "access.functions_have_the_builder",
    ),
    Mistake(
        "a set of keys has no name",
        "terraform/secrets.tf",
        'endswith(name, "_KEYS") ? "k${var.secrets_generation}:" : ""',
        'endswith(name, "_KEYS") ? "" : ""',
        "access.sets_of_keys",
    ),
    Mistake(
        "a set of keys is written without its name",
        "terraform/secrets.tf",
        '"${local.key_names[each.key]}${ephemeral.random_password.secret[each.key].result}"',
        "ephemeral.random_password.secret[each.key].result",
        "access.sets_of_keys",
    ),
    Mistake(
        "functions name no account that builds them",
        FUNCTION,
        "    service_account   = var.builder\n",
        "",
        "access.functions_have_the_builder",
    ),
    Mistake(
        "the pipeline may grant its own roles",
        "terraform/delivery.tf",
        "[for role in local.granted_roles : \"'${role}'\"]",
        "[for role in concat(local.granted_roles, local.delivery_roles) : \"'${role}'\"]",
        "access.conditions_name_at_most_ten",
    ),
    Mistake(
        "the pipeline may make owners",
        "terraform/delivery.tf",
        '"roles/secretmanager.secretAccessor", "roles/storage.objectViewer"',
        '"roles/owner", "roles/secretmanager.secretAccessor", "roles/storage.objectViewer"',
        "access.the_pipeline_may_grant",
        # with the roles of Google's telemetry there would be more than a condition may name
        OTHER_TELEMETRY,
    ),
    Mistake(
        "the pipeline may not grant what a function needs",
        "terraform/delivery.tf",
        '"roles/secretmanager.secretAccessor", "roles/storage.objectViewer"',
        '"roles/storage.objectViewer"',
        "access.the_pipeline_may_grant",
    ),
    Mistake(
        "a function is deployed before the pipeline may act as its account",
        FUNCTION,
        "[google_secret_manager_secret_iam_member.this, google_service_account_iam_member.deployer]",
        "[google_secret_manager_secret_iam_member.this]",
        "order.functions_wait",
    ),
    Mistake(
        "a function is deployed before its account reads its secrets",
        FUNCTION,
        "  depends_on = [time_sleep.grants]\n",
        "  depends_on = [google_secret_manager_secret_iam_member.this]\n",
        "order.functions_wait",
    ),
    Mistake(
        "the Budget API has no project to count calls to",
        "terraform/versions.tf",
        "  user_project_override = true\n",
        "",
        "access.budgets_name",
    ),
    Mistake(
        "an alert needs a metric that is made from logs",
        "terraform/monitoring.tf",
        'metric.type=\\"run.googleapis.com/request_count\\" AND metric.labels.response_code_class',
        'metric.type=\\"logging.googleapis.com/user/aisle/failures\\" AND metric.labels.response_code_class',
        "order.alerts_need",
    ),
    Mistake(
        "a job that still runs counts as failed",
        "terraform/monitoring.tf",
        'harmless_codes = ["409", "429"]',
        'harmless_codes = ["429"]',
        "watching.overlapping_runs",
    ),
    Mistake(
        "jobs that only people start are watched, those with a schedule are not",
        "terraform/monitoring.tf",
        "if local.entries[name].schedule != null])",
        "if local.entries[name].schedule == null])",
        "watching.overlapping_runs",
    ),
    Mistake(
        "a function that is not public is open",
        "terraform/iam.tf",
        'entry.public && var.public_access != "none" ?',
        'var.public_access == "none" ?',
        "access.public_functions",
    ),
    Mistake(
        "a domain closes the functions before its certificate is active",
        "terraform/functions.tf",
        'var.domain != null && var.public_access != "iam" ? "load_balancer"',
        'var.domain != null ? "load_balancer"',
        "access.public_functions",
        LIVE,
    ),
    Mistake(
        "builds of pull requests read the state",
        "terraform/delivery.tf",
        "  bucket = google_storage_bucket.plans[0].name",
        "  bucket = var.state_bucket",
        "access.builds_of_pull_requests",
    ),
    Mistake(
        "builds of pull requests read secrets",
        "terraform/delivery.tf",
        'reader_roles = ["roles/browser",',
        'reader_roles = ["roles/browser", "roles/secretmanager.secretAccessor",',
        "access.builds_of_pull_requests",
    ),
    Mistake(
        "plans of pull requests are of the default region",
        "terraform/delivery.tf",
        "    _REGION       = var.region\n    _PLANS_BUCKET",
        "    _PLANS_BUCKET",
        "access.builds_of_pull_requests",
    ),
    Mistake(
        "functions have too few addresses",
        "terraform/network.tf",
        '"10.20.8.0/22"',
        '"10.20.8.0/24"',
        "precondition",
    ),
    Mistake(
        "two subnetworks overlap",
        "terraform/network.tf",
        '"10.20.8.0/22"',
        '"10.20.0.0/22"',
        "capacity.ranges",
        CONNECTOR,
    ),
    Mistake(
        "a release opens more connections than Postgres takes",
        "terraform/database.tf",
        "max_connections = 1200",
        "max_connections = 600",
        "precondition",
    ),
    Mistake(
        "connections of a release are counted once",
        "terraform/database.tf",
        '(entry.kind == "job" ? 1 : 2) * entry.max_instances',
        "entry.max_instances",
        "capacity.connections",
        (*PROD, '-var=database={"max_connections"=600}'),
    ),
    Mistake(
        "grants do not wait for Pub/Sub's agent",
        "terraform/messaging.tf",
        'TokenCreator"\n  member             = local.pubsub_service\n\n  depends_on = [time_sleep.pubsub_agent]',
        'TokenCreator"\n  member             = local.pubsub_service\n\n  depends_on = [google_pubsub_topic.this]',
        "order.grants_wait",
    ),
    Mistake(
        "the subscription of BigQuery does not wait for the grant on its table",
        "terraform/analytics.tf",
        "  depends_on = [time_sleep.pubsub_grants]\n",
        "  depends_on = [google_bigquery_table_iam_member.pubsub]\n",
        "order.subscriptions_wait",
    ),
    Mistake(
        "Redis' address has no version while it is rotated",
        "terraform/cache.tf",
        "    create_before_destroy = true\n",
        "    create_before_destroy = false\n",
        "order.the_address_of_redis",
    ),
    Mistake(
        "a check gives up on a cold start",
        "terraform/monitoring.tf",
        "  uptime_s    = 30\n",
        "  uptime_s    = 10\n",
        "watching.the_first_call",
    ),
    Mistake(
        "functions may publish to every topic",
        "terraform/messaging.tf",
        "for topic in entry.publishes :",
        "for topic in (length(entry.publishes) > 0 ? local.topics : []) :",
        "messages.functions_publish",
    ),
    Mistake(
        "nobody learns who read a secret",
        "terraform/secrets.tf",
        'log_type = "DATA_READ"',
        'log_type = "ADMIN_READ"',
        "access.reads_of_secrets",
    ),
    Mistake(
        "an alert names no runbook",
        "terraform/monitoring.tf",
        'runbook = "redis-lost"',
        'runbook = "redis-gone"',
        "watching.alerts_name",
    ),
    Mistake(
        "schedules call as the account of pushes",
        "terraform/schedules.tf",
        "google_service_account.scheduler.email",
        "google_service_account.push.email",
        "access.calls_are_signed",
    ),
    Mistake(
        "pushes call as the account of schedules",
        "terraform/messaging.tf",
        "google_service_account.push.email",
        "google_service_account.scheduler.email",
        "access.calls_are_signed",
    ),
    Mistake(
        "schedules may call event functions, and pushes may not",
        "terraform/iam.tf",
        "{ push = google_service_account.push.member }",
        "{ push = google_service_account.scheduler.member }",
        "access.calls_are_signed",
    ),
    Mistake(
        "the job that fetches feeds reads every secret of Aisle",
        "terraform/iam.tf",
        "/secrets/aisle-feed-",
        "/secrets/aisle-",
        "access.secrets_and_files",
    ),
    Mistake(
        "the job that fetches feeds reads every secret",
        "terraform/iam.tf",
        FEED_SECRETS,
        "",
        "access.secrets_and_files",
    ),
    Mistake(
        "jobs may write feeds",
        "terraform/iam.tf",
        'bucket = google_storage_bucket.feeds.name\n  role   = "roles/storage.objectViewer"',
        'bucket = google_storage_bucket.feeds.name\n  role   = "roles/storage.objectAdmin"',
        "access.secrets_and_files",
    ),
    Mistake(
        "the builder reads another bucket than the one of staged sources",
        "terraform/iam.tf",
        "buckets/gcf-v2-sources-",
        "buckets/gcf-v2-uploads-",
        "access.functions_have_the_builder",
    ),
    Mistake(
        "builds of pull requests run as the pipeline",
        "terraform/delivery.tf",
        "service_account    = google_service_account.reader[0].id",
        "service_account    = google_service_account.delivery[0].id",
        "access.builds_of_pull_requests",
    ),
    Mistake(
        "a stranger's pull request is built at once",
        "terraform/delivery.tf",
        "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY",
        "COMMENTS_DISABLED",
        "access.builds_of_pull_requests",
    ),
    Mistake(
        "a branch whose name contains main is deployed",
        "terraform/delivery.tf",
        '    push {\n      branch = "^${var.repository.branch}$"',
        "    push {\n      branch = var.repository.branch",
        "access.the_pipeline_deploys",
    ),
    Mistake(
        "the pipeline cannot sign the token with which it migrates",
        "terraform/delivery.tf",
        "roles/iam.serviceAccountOpenIdTokenCreator",
        "roles/iam.serviceAccountUser",
        "access.the_pipeline_deploys",
    ),
    Mistake(
        "the firewall drops what Cloud SQL's connector sends",
        "terraform/network.tf",
        '["3307", "5432"',
        '["5432"',
        "capacity.functions_in_the_network",
    ),
    Mistake(
        "the database is made before the network is peered",
        "terraform/database.tf",
        "  depends_on = [google_service_networking_connection.services]\n",
        "",
        "prerequisites.the_database_and_the_cache",
    ),
    Mistake(
        "users of the database are made before their accounts",
        "terraform/database.tf",
        '"${module.function[each.key].account}@${var.project_id}.iam"',
        "local.database_users[each.key]",
        "prerequisites.users_of_the_database",
    ),
    Mistake(
        "functions start before their secrets have values",
        "terraform/secrets.tf",
        "{ for name, version in google_secret_manager_secret_version.this : name => version.secret }",
        "{ for name, secret in google_secret_manager_secret.this : name => secret.id }",
        "prerequisites.functions_wait",
    ),
    Mistake(
        "the network is made before its API is enabled",
        "terraform/network.tf",
        "auto_create_subnetworks = false\n\n  depends_on = [google_project_service.api]\n",
        "auto_create_subnetworks = false\n",
        "prerequisites.everything_waits",
    ),
)


def refusal(terraform: Terraform, mistake: Mistake) -> str:
    """Return what refuses a mistake: the violations of the rules, or Terraform's own words; empty for nothing."""
    file = terraform.folder.parent / mistake.file
    text = file.read_text()
    if mistake.old not in text:
        return f"the mistake {mistake.name!r} is out of date: {mistake.file} has no {mistake.old!r}"
    file.write_text(text.replace(mistake.old, mistake.new, 1))
    try:
        return "\n".join(violations(terraform.plan_pinned(*mistake.profile)))
    except AssertionError as error:
        return f"precondition {error}" if "precondition failed" in str(error) else f"Terraform failed: {error}"
    finally:
        file.write_text(text)


def main(names: Sequence[str]) -> int:
    """Plant every mistake, or those whose names contain one of ``names``."""
    if not TOOL.exists():
        print("There is no Terraform that plans offline (AISLE_TERRAFORM), so no mistake is planted.", file=sys.stderr)
        return 2
    chosen = [one for one in MISTAKES if not names or any(name in one.name for name in names)]
    missed = []
    with tempfile.TemporaryDirectory(prefix="aisle-mistakes-") as home:
        terraform = Terraform(Path(home))
        for mistake in chosen:
            words = refusal(terraform, mistake)
            refused = any(line.startswith(mistake.refused_by) for line in words.splitlines())
            print(f"{'refused' if refused else 'MISSED '} {mistake.name} ({mistake.refused_by})", flush=True)
            if not refused:
                missed.append(mistake.name)
                print(words[-1500:] or "nothing refuses it", file=sys.stderr, flush=True)
    print(json.dumps({"planted": len(chosen), "missed": missed}))
    return int(bool(missed))


if __name__ == "__main__":
    os.environ.setdefault("TF_IN_AUTOMATION", "1")
    sys.exit(main(sys.argv[1:]))
