"""What must exist before something else is created, without a wait in between; order.py has what also needs time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.terraform.conftest import Plan

API = "google_project_service.api"
# of Resource Manager, which the operator enables by hand before the first apply
OF_THE_PROJECT = {"google_project_service", "google_project_iam_member", "google_project_iam_audit_config"}
# by a dynamic block, which Terraform's JSON omits, it waits for an objective
UNSEEN = {"google_monitoring_alert_policy.burn"}


def everything_waits_for_its_api(plan: "Plan") -> Iterator[str]:
    """Google refuses calls of an API that is not enabled yet: in a new project, the first apply."""
    for address in plan.graph.resources:
        kind = address.removeprefix("module.function.").split(".")[0]
        is_free = not kind.startswith("google_") or kind in OF_THE_PROJECT or address in UNSEEN
        if not is_free and API not in plan.graph.awaits(address):
            yield f"{address} does not wait for its API"


def the_database_and_the_cache_wait_for_the_peering(plan: "Plan") -> Iterator[str]:
    """Google gives a private address only in a network that is peered already."""
    for address in ("google_sql_database_instance.this", "google_redis_instance.this"):
        if "google_service_networking_connection.services" not in plan.graph.awaits(address):
            yield f"{address} does not wait for the peering"


def users_of_the_database_wait_for_their_accounts(plan: "Plan") -> Iterator[str]:
    """Cloud SQL refuses a user whose account does not exist."""
    if "module.function.google_service_account.this" not in plan.graph.awaits("google_sql_user.function"):
        yield "the database's users do not wait for the accounts of functions"


def functions_wait_for_the_values_of_their_secrets(plan: "Plan") -> Iterator[str]:
    """A revision whose secret has no version yet does not start."""
    # by way of a local, which a plan does not have
    listed = plan.source("secrets.tf").partition("  secret_ids = merge(\n")[2].partition("\n  )\n")[0]
    for version in ("this", "redis_url"):
        if f"google_secret_manager_secret_version.{version}" not in listed:
            yield f"functions do not wait for the value of google_secret_manager_secret.{version}"


RULES = (
    everything_waits_for_its_api,
    the_database_and_the_cache_wait_for_the_peering,
    users_of_the_database_wait_for_their_accounts,
    functions_wait_for_the_values_of_their_secrets,
)
