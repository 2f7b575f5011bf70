"""What must exist, and have taken effect, before something else is created. Google's own delays are the reason."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.terraform.conftest import Plan

FUNCTION = "module.function.google_cloudfunctions2_function.this"
# seconds until a grant has taken effect
GRANT_S = 60
LOG_METRIC = "logging.googleapis.com/user/"


def _waits(plan: "Plan", address: str, grant: str, seconds: int) -> bool:
    """Whether a sleep of that length stands between a resource and what it needs."""
    sleeps = {
        one for one in plan.graph.awaits(address) if one.rpartition("module.function.")[2].startswith("time_sleep.")
    }
    return any(grant in plan.graph.awaits(sleep) and plan.sleep_s(sleep) >= seconds for sleep in sleeps)


def functions_wait_for_the_grants_of_their_accounts(plan: "Plan") -> Iterator[str]:
    """A deployment needs to act as the account, and a revision to read its secrets, before either is tried."""
    for grant in ("google_service_account_iam_member.deployer", "google_secret_manager_secret_iam_member.this"):
        if not _waits(plan, FUNCTION, f"module.function.{grant}", GRANT_S):
            yield f"a function does not wait for {grant}"
    if plan.by_key("google_project_iam_member", "delivery"):
        grants = plan.inside("google_service_account_iam_member")
        if missing := sorted(set(plan.listed.entries) - set(grants)):
            yield f"the pipeline may not act as the accounts of {', '.join(missing)}"
        for name, one in grants.items():
            if [grant["role"] for grant in one] != ["roles/iam.serviceAccountUser"]:
                yield f"{name}: deployers have {[grant['role'] for grant in one]}"
        acted = set(plan.by_key("google_service_account_iam_member", "delivery"))
        if missing := sorted({"aisle-builder", "aisle-push", "aisle-scheduler"} - acted):
            yield f"the pipeline may not act as {', '.join(missing)}"


def grants_wait_for_the_agent_of_pubsub(plan: "Plan") -> Iterator[str]:
    """Google makes the agent with the first topic; IAM refuses a member that does not exist."""
    agents = ["google_pubsub_topic_iam_member.dead_letter", "google_service_account_iam_member.push_token"]
    if plan.of("google_bigquery_table"):
        agents.append("google_bigquery_table_iam_member.pubsub")
    for grant in agents:
        if not _waits(plan, grant, "google_pubsub_topic.this", GRANT_S):
            yield f"{grant} does not wait for Pub/Sub's agent"


def subscriptions_wait_for_the_grants_of_the_agent(plan: "Plan") -> Iterator[str]:
    """Pub/Sub refuses a subscription whose table it cannot write, and loses what it cannot dead-letter."""
    for grant in ("google_pubsub_topic_iam_member.dead_letter", "google_service_account_iam_member.push_token"):
        if not _waits(plan, "google_pubsub_subscription.event", grant, GRANT_S):
            yield f"subscriptions do not wait for {grant}"
    if not _waits(plan, "google_pubsub_subscription.bigquery", "google_bigquery_table_iam_member.pubsub", GRANT_S):
        yield "the subscriptions of BigQuery do not wait for the grant on their table"


def alerts_need_no_metric_of_logging(plan: "Plan") -> Iterator[str]:
    """Monitoring refuses an alert on such a metric for up to ten minutes after Logging has made it."""
    for resource in plan.resources:
        if resource["type"] != "google_monitoring_alert_policy":
            continue
        texts = [
            str(block) for condition in resource["values"]["conditions"] for block in condition["condition_threshold"]
        ]
        if any(LOG_METRIC in text for text in texts):
            yield f"{resource['address']} is refused by a first apply: its metric is made from logs"


def the_address_of_redis_is_replaced_without_a_gap(plan: "Plan") -> Iterator[str]:
    """An instance that starts between two versions of the secret would have none."""
    text = (
        plan.source("cache.tf").partition('"google_secret_manager_secret_version" "redis_url"')[2].partition("\n}\n")[0]
    )
    if "create_before_destroy = true" not in text:
        yield "a new version of Redis' address is written after the old one is destroyed"


RULES = (
    functions_wait_for_the_grants_of_their_accounts,
    grants_wait_for_the_agent_of_pubsub,
    subscriptions_wait_for_the_grants_of_the_agent,
    alerts_need_no_metric_of_logging,
    the_address_of_redis_is_replaced_without_a_gap,
)
