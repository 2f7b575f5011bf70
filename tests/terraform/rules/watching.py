"""Alerts: each outage has one, and nothing that is no fault has any."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.terraform.conftest import Plan

# of Monitoring
LONGEST_CHECK_S = 60
# a new instance loads its code, and waits for Postgres, Redis and Pub/Sub as long as they may take
FIRST_CALL_S = 25
# of a run by hand that still works, and of a second call while the only instance is busy
HARMLESS_CODES = ("409", "429")
FAILED_CODES = ("401", "403", "404", "500", "503", "504")
ALERTS = {
    "dead-letters",
    "old-messages",
    "sql-connections",
    "sql-disk",
    "job-failures",
    "function-cpu",
    "function-memory",
}


def the_first_call_of_an_instance_is_no_outage(plan: "Plan") -> Iterator[str]:
    """A check that gives up on a cold start wakes somebody for nothing."""
    for name, check in plan.by_key("google_monitoring_uptime_check_config", "function").items():
        if not FIRST_CALL_S <= int(check["timeout"].removesuffix("s")) <= LONGEST_CHECK_S:
            yield f"the check of {name} gives up after {check['timeout']}"


def overlapping_runs_of_jobs_are_no_failure(plan: "Plan") -> Iterator[str]:
    """A job answers 409 while it runs, and before the schema exists; Cloud Run answers 429 while it is busy."""
    alert = plan.by_key("google_monitoring_alert_policy", "this").get("job-failures")
    if alert is None:
        return
    counted = alert["conditions"][0]["condition_threshold"][0]["filter"]
    excluded = re.search(r"NOT metric\.labels\.response_code=one_of\(([^)]*)\)", counted)
    for code in HARMLESS_CODES:
        if not excluded or f'"{code}"' not in excluded.group(1):
            yield f"a job that answers {code} counts as failed"
    for code in FAILED_CODES:
        if excluded and f'"{code}"' in excluded.group(1):
            yield f"a job that answers {code} does not count as failed"
    if 'response_code_class!="2xx"' not in counted:
        yield "runs that succeed count as failed"
    watched = re.search(r'service_name=monitoring\.regex\.full_match\("([^"]*)"\)', counted)
    names = set(watched.group(1).split("|")) if watched else set()
    scheduled = {entry.name.replace("_", "-") for entry in plan.listed.of_kind("job") if entry.schedule}
    if names != scheduled:
        yield f"the alert of failed jobs watches other services: {', '.join(sorted(names ^ scheduled))}"


def every_outage_has_its_alert(plan: "Plan") -> Iterator[str]:
    """CPU, memory, instances and long jobs among them."""
    if not plan.variable("monitoring"):
        return
    alerts = plan.by_key("google_monitoring_alert_policy", "this")
    public = {entry.name for entry in plan.listed.entries.values() if entry.public}
    limits = {entry.timeout_s for entry in plan.listed.of_kind("job") if entry.heavy and entry.schedule}
    wanted = ALERTS | {f"instances-{name}" for name in public} | {f"job-duration-{limit}" for limit in limits}
    if missing := sorted(wanted - set(alerts)):
        yield f"no alert: {', '.join(missing)}"
    if not plan.by_key("google_monitoring_alert_policy", "model_drift"):
        yield "no alert: model drift"
    functions = plan.functions()
    # a function that is not deployed is reported by test_plan.py, which compares them with the entries
    for name in sorted(public & functions.keys()):
        limit = functions[name]["service_config"][0]["max_instance_count"]
        threshold = alerts.get(f"instances-{name}", {}).get("conditions", [{}])[0].get("condition_threshold", [{}])[0]
        if not limit - 1 < threshold.get("threshold_value", 0) < limit:
            yield f"the alert of {name}'s instances does not fire at their limit of {limit}"


def alerts_name_a_runbook(plan: "Plan") -> Iterator[str]:
    """Whoever is woken needs to know what to do."""
    for resource in plan.resources:
        if resource["type"] == "google_monitoring_alert_policy":
            content = resource["values"]["documentation"][0]["content"]
            found = re.match(r"docs/runbooks/([\w-]+)\.md", content)
            if not found or not (plan.root / "docs/runbooks" / f"{found.group(1)}.md").is_file():
                yield f"{resource['address']} names no runbook that exists: {content}"


RULES = (
    the_first_call_of_an_instance_is_no_outage,
    overlapping_runs_of_jobs_are_no_failure,
    every_outage_has_its_alert,
    alerts_name_a_runbook,
)
