"""Who may do what: the pipeline, builds of pull requests, callers, and the accounts that build and push."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.terraform.rules.graph import base

if TYPE_CHECKING:
    from tests.terraform.conftest import Plan

# where Cloud Functions stages the sources that a builder reads
STAGING = "projects/_/buckets/gcf-v2-sources-"
# a builder may run a stranger's code only after a member of the repository has commented
COMMENTED = {"COMMENTS_ENABLED", "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"}
STARTS_WITH = re.compile(r'/secrets/([\w-]*)"\)')
INVOKER = re.compile(r"\{ (\w+) = google_service_account\.(\w+)(?:\[0\])?\.member \}")
# of IAM, for the list in hasOnly([...])
MOST_ROLES = 10
PRIMITIVE = {"roles/owner", "roles/editor", "roles/viewer"}
HAS_ONLY = re.compile(r"hasOnly\(\[(.*?)\]\)")
MACHINERY = ("delivery", "delivery_grants", "reader")
READER_ROLES = {"roles/browser", "roles/logging.logWriter", "roles/serviceusage.serviceUsageConsumer"}


def _grantable(plan: "Plan") -> list[str] | None:
    for grant in plan.by_key("google_project_iam_member", "delivery_grants").values():
        found = HAS_ONLY.search(grant["condition"][0]["expression"])
        return re.findall(r"'([^']+)'", found.group(1)) if found else []
    return None


def conditions_name_at_most_ten_roles(plan: "Plan") -> Iterator[str]:
    """IAM refuses a longer list."""
    for address, grant in plan.of("google_project_iam_member").items():
        for condition in grant.get("condition") or ():
            for listed in HAS_ONLY.findall(condition["expression"]):
                if (count := listed.count(",") + 1) > MOST_ROLES:
                    yield f"{address} names {count} roles in hasOnly; IAM takes {MOST_ROLES}"


def the_pipeline_may_grant_what_it_grants(plan: "Plan") -> Iterator[str]:
    """No fewer roles, or a delivery fails; no more, or it makes itself an owner."""
    grantable = _grantable(plan)
    if grantable is None:
        return
    needed = set()
    for resource in plan.resources:
        if resource["type"] == "google_project_iam_member" and resource["name"] not in MACHINERY:
            role = resource["values"].get("role") or ""
            # the role of our own is unknown until it exists
            needed.add(role if role.startswith("roles/") else f"projects/{plan.project}/roles/aisleSchedules")
    # operators may be named later, by a delivery
    needed.add("roles/cloudsql.studioUser")
    if missing := sorted(needed - set(grantable)):
        yield f"the pipeline grants {', '.join(missing)}, which its condition forbids"
    if spare := sorted(set(grantable) - needed):
        yield f"the pipeline may grant {', '.join(spare)}, which nothing needs"
    if PRIMITIVE & set(grantable) or "roles/resourcemanager.projectIamAdmin" in grantable:
        yield "the pipeline may grant a role that makes an owner"


def builds_of_pull_requests_read_no_secret(plan: "Plan") -> Iterator[str]:
    """They run code that nobody has reviewed, and the state holds the password of Redis."""
    roles = {grant["role"] for grant in plan.by_key("google_project_iam_member", "reader").values()}
    if more := sorted(roles - READER_ROLES):
        yield f"the account of plans has {', '.join(more)}"
    for address, grant in plan.of("google_storage_bucket_iam_member").items():
        if grant.get("bucket") == plan.state_bucket:
            yield f"{address} opens the bucket of the state"
    address = "google_cloudbuild_trigger.pull_request"
    if (accounts := plan.graph.refers(address, "service_account")) and _bases(accounts) != {
        "google_service_account.reader"
    }:
        yield f"builds of pull requests run as {accounts[0]}"
    for trigger in plan.by_key("google_cloudbuild_trigger", "pull_request").values():
        if trigger["github"][0]["pull_request"][0].get("comment_control") not in COMMENTED:
            yield "a stranger's pull request is built without a comment of a member"
        given = trigger.get("substitutions") or {}
        if "_STATE_BUCKET" in given:
            yield "plans of pull requests are given the bucket of the state"
        if not given.get("_REGION"):
            yield "plans of pull requests are not given the region"


def functions_have_the_builder_that_may_build(plan: "Plan") -> Iterator[str]:
    """Without a builder of its own a function is built by the project's default account, which is an editor."""
    inside = plan.graph.resources["module.function.google_cloudfunctions2_function.this"]["expressions"]
    if "service_account" not in inside["build_config"][0] or not inside["build_config"][0]["service_account"].get(
        "references"
    ):
        yield "functions name no account that builds them"
    elif "google_service_account.builder" not in plan.graph.calls["function"]["expressions"]["builder"]["references"]:
        yield "functions are built by another account than the builder"
    staging = [
        grant
        for grant in plan.by_key("google_project_iam_member", "builder_staging").values()
        if grant["role"] == "roles/storage.objectViewer"
        and any(f'startsWith("{STAGING}' in condition["expression"] for condition in grant["condition"] or ())
    ]
    if not staging or "google_service_account.builder" not in plan.graph.awaits(
        "google_project_iam_member.builder_staging"
    ):
        yield "the builder cannot read the bucket in which Cloud Functions stages sources"
    kinds = {
        "google_storage_bucket_iam_member.builder",
        "google_artifact_registry_repository_iam_member.builder",
        "google_project_iam_member.builder",
        "google_project_iam_member.builder_staging",
    }
    awaited = plan.graph.awaits("module.function.google_cloudfunctions2_function.this")
    if missing := sorted(kinds - awaited):
        yield f"functions are built before the builder has {', '.join(missing)}"


def public_functions_are_open_as_chosen(plan: "Plan") -> Iterator[str]:
    """Invokers, ingress, trusted proxies and the addresses that are handed out follow from public_access and domain."""
    chosen, domain = plan.variable("public_access"), plan.variable("domain")
    behind = domain is not None and chosen != "iam"
    invokers = plan.inside("google_cloud_run_v2_service_iam_member")
    for name, function in plan.functions().items():
        entry, service = plan.listed.entries[name], function["service_config"][0]
        if entry.kind not in ("http", "edge"):
            continue
        everybody = any(grant.get("member") == "allUsers" for grant in invokers.get(name, ()))
        if everybody != (entry.public and chosen != "none"):
            yield f"{name} is {'open' if everybody else 'closed'} to everybody with public_access = {chosen}"
        wanted = "ALLOW_INTERNAL_AND_GCLB" if behind else "ALLOW_ALL"
        if entry.public and service["ingress_settings"] != wanted:
            yield f"{name} takes calls by {service['ingress_settings']} instead of {wanted}"
        # Google's front end is one proxy, the load balancer another; more would let a client choose its address
        proxies = (service["environment_variables"] or {}).get("TRUSTED_PROXIES")
        if proxies != ("2" if behind else "1"):
            yield f"{name} trusts {proxies} proxies"
    # before the project exists, the address of the edge is not known
    address = plan.document["planned_values"]["outputs"]["url"].get("value")
    if behind and address != f"https://{domain}":
        yield f"the address handed out is {address}, not that of {domain}"
    if not behind and domain is not None and address == f"https://{domain}":
        yield f"{domain} is handed out while functions still answer at their own addresses"


def _bases(found: list[str]) -> set[str]:
    """Return the resources that references begin with."""
    return {base(one) for one in found}


def _endpoint(values: dict[str, Any], target: str) -> str | None:
    """Return the address that a subscription or schedule calls; None before the function exists."""
    inside = values[target][0]
    return inside.get("push_endpoint") or inside.get("uri")


def _audience(values: dict[str, Any], target: str) -> str | None:
    return values[target][0]["oidc_token"][0].get("audience")


def pushes_are_signed_for_the_function_they_reach(plan: "Plan") -> Iterator[str]:
    """Cloud Run refuses a token of another audience; without the grant Pub/Sub cannot sign one."""
    for address in ("google_pubsub_subscription.event", "google_cloud_scheduler_job.this"):
        target = "push_config" if "pubsub" in address else "http_target"
        endpoint = plan.graph.refers(address, target, "push_endpoint" if "pubsub" in address else "uri")
        audience = plan.graph.refers(address, target, "oidc_token", "audience")
        if not endpoint or audience != endpoint:
            yield f"{address} signs for {audience or 'a constant'} and calls {endpoint}"
        for change in plan.document["resource_changes"]:
            if change["address"].startswith(f"{address}["):
                called, signed = (
                    _endpoint(change["change"]["after"], target),
                    _audience(change["change"]["after"], target),
                )
                if called != signed:
                    yield f"{change['address']} signs for {signed} and calls {called or 'what is not known yet'}"
    signers: list[dict[str, Any]] = list(plan.by_key("google_service_account_iam_member", "push_token").values())
    if [one["role"] for one in signers] != ["roles/iam.serviceAccountTokenCreator"] or not all(
        "gcp-sa-pubsub" in one["member"] for one in signers
    ):
        yield "Pub/Sub's agent cannot sign the tokens of the push account"
    elif "google_service_account.push" not in plan.graph.awaits("google_service_account_iam_member.push_token"):
        yield "Pub/Sub's agent signs for another account than the one that pushes"


def calls_are_signed_as_the_account_that_may_call(plan: "Plan") -> Iterator[str]:
    """Cloud Run refuses a token of an account that is no invoker."""
    for address, target, account in (
        ("google_pubsub_subscription.event", "push_config", "google_service_account.push"),
        ("google_cloud_scheduler_job.this", "http_target", "google_service_account.scheduler"),
    ):
        signers = _bases(plan.graph.refers(address, target, "oidc_token", "service_account_email"))
        if signers != {account}:
            yield f"{address} signs as {', '.join(sorted(signers)) or 'nobody'}"
    # a plan has neither the members, which are not known yet, nor the local that lists them
    for key, account in INVOKER.findall(plan.source("iam.tf")):
        if key != account:
            yield f"the invoker {key} is the account {account}"
    callers: dict[str, set[str]] = {}
    for address in plan.of("google_cloud_run_v2_service_iam_member"):
        _, name, _, key, *_ = address.split('"')
        callers.setdefault(name, set()).add(key)
    for name, entry in plan.listed.entries.items():
        wanted = "push" if entry.kind == "event" else "scheduler" if entry.kind == "job" and entry.schedule else None
        if wanted and callers.get(name) != {wanted}:
            yield f"{name} may be called by {', '.join(sorted(callers.get(name, ()))) or 'nobody'}"


def the_pipeline_deploys_one_branch_as_itself(plan: "Plan") -> Iterator[str]:
    """A pattern without its ends matches other branches too; a build without identities cannot call the job migrate."""
    for trigger in plan.by_key("google_cloudbuild_trigger", "push").values():
        branch = trigger["github"][0]["push"][0]["branch"]
        if not (branch.startswith("^") and branch.endswith("$")):
            yield f"a push to any branch that contains {branch} is deployed"
        if _bases(plan.graph.refers("google_cloudbuild_trigger.push", "service_account")) != {
            "google_service_account.delivery"
        }:
            yield "pushes are deployed as another account than the pipeline's"
        signers = plan.by_key("google_service_account_iam_member", "delivery_identity").values()
        if [one["role"] for one in signers] != ["roles/iam.serviceAccountOpenIdTokenCreator"]:
            yield "the pipeline cannot sign the token with which it calls the job migrate"


def secrets_and_files_are_read_as_far_as_needed(plan: "Plan") -> Iterator[str]:
    """A grant on the project covers every secret unless its condition names a prefix that no other secret has."""
    secrets = {one["secret_id"] for one in plan.of("google_secret_manager_secret").values()}
    for address, grant in plan.of("google_project_iam_member").items():
        if grant.get("role") != "roles/secretmanager.secretAccessor":
            continue
        prefixes = [
            prefix for one in grant.get("condition") or () for prefix in STARTS_WITH.findall(one["expression"])
        ] or [""]
        if others := sorted(one for one in secrets if one.startswith(tuple(prefixes))):
            yield f"{address} opens {', '.join(others)}"
    roles = {grant["role"] for grant in plan.by_key("google_storage_bucket_iam_member", "feeds").values()}
    if more := sorted(roles - {"roles/storage.objectViewer"}):
        yield f"jobs that read feeds have {', '.join(more)}"


def sets_of_keys_have_names(plan: "Plan") -> Iterator[str]:
    """A value without a name is no set of keys, and every function that reads it fails."""
    for name, secret in plan.by_key("google_secret_manager_secret", "this").items():
        form = (secret.get("annotations") or {}).get("form", "")
        if not re.fullmatch(r"k[1-9]\d*:SECRET" if name.endswith("_KEYS") else "SECRET", form):
            yield f"the value of {name} has the form {form!r}"
    written = plan.graph.refers("google_secret_manager_secret_version.this", "secret_data_wo")
    if "local.key_names" not in written or "ephemeral.random_password.secret" not in written:
        yield f"values of secrets are made of {written}"


def reads_of_secrets_are_recorded(plan: "Plan") -> Iterator[str]:
    """Google records who reads a secret only where asked to."""
    kinds = {
        record["log_type"]
        for config in plan.of("google_project_iam_audit_config").values()
        if config["service"] == "secretmanager.googleapis.com"
        for record in config["audit_log_config"]
    }
    if "DATA_READ" not in kinds:
        yield "reads of secrets are not recorded"


def budgets_name_the_project_that_pays_for_calls(plan: "Plan") -> Iterator[str]:
    """The Budget API refuses a person's credentials without it."""
    settings = plan.document["configuration"]["provider_config"]["google"]["expressions"]
    if settings.get("user_project_override", {}).get("constant_value") is not True:
        yield "user_project_override is not set"
    if settings.get("billing_project", {}).get("references") != ["var.project_id"]:
        yield "billing_project is not the project"


RULES = (
    conditions_name_at_most_ten_roles,
    the_pipeline_may_grant_what_it_grants,
    builds_of_pull_requests_read_no_secret,
    functions_have_the_builder_that_may_build,
    public_functions_are_open_as_chosen,
    pushes_are_signed_for_the_function_they_reach,
    calls_are_signed_as_the_account_that_may_call,
    the_pipeline_deploys_one_branch_as_itself,
    secrets_and_files_are_read_as_far_as_needed,
    sets_of_keys_have_names,
    reads_of_secrets_are_recorded,
    budgets_name_the_project_that_pays_for_calls,
)
