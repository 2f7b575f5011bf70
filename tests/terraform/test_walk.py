"""A deployment's life against the stand-in: first apply, a delivery that adds a function, a domain, and a destroy."""

import json
from pathlib import Path

import pytest
import yaml

from delivery import plan_state
from shared.manifest import manifest
from tests.terraform.conftest import PROJECT, STATE_BUCKET, Plan, Terraform
from tests.terraform.rules import violations

ADDED = "popular"
# what the provider's stand-in writes as the password of Redis
PASSWORD = "stub-auth_string"
CHOSEN = (
    "-var-file=envs/dev.tfvars",
    '-var=repository={"owner"="example","name"="shop"}',
    f"-var=state_bucket={STATE_BUCKET}",
)
DOMAIN = "-var=domain=shop.example.com"


@pytest.fixture(scope="module")
def deployed(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """A Terraform of its own, with everything but one function applied to an empty project."""
    own = Terraform(tmp_path_factory.mktemp("walk"))
    file = own.folder.parent / "functions.yaml"
    whole = file.read_text()
    fewer = yaml.safe_load(whole)
    del fewer["entries"][ADDED]
    file.write_text(yaml.safe_dump(fewer, sort_keys=False))
    apply(own)
    file.write_text(whole)
    return own


def pinned() -> str:
    return f"-var=pinned_sources={json.dumps({name: f'{name}/earlier.zip' for name in manifest().entries})}"


def apply(terraform: Terraform, *arguments: str) -> None:
    chosen = (f"-var=project_id={PROJECT}", pinned(), *CHOSEN, *arguments)
    terraform.run("apply", "-input=false", "-no-color", "-auto-approve", *chosen)


def broken(plan: Plan) -> list[str]:
    """Return the violations, without those by values that the stand-in makes up for what Google computes."""
    return [text for text in violations(plan) if "stub-" not in text]


def changes(plan: Plan) -> dict[str, list[str]]:
    return {
        change["address"]: change["change"]["actions"]
        for change in plan.document["resource_changes"]
        if change["change"]["actions"] not in (["no-op"], ["read"])
    }


def test_a_delivery_adds_a_function_and_touches_no_other(deployed: Terraform) -> None:
    plan = deployed.plan_pinned(*CHOSEN)
    assert broken(plan) == []
    changed = changes(plan)
    created = {address for address, actions in changed.items() if actions == ["create"]}
    inside = f'module.function["{ADDED}"]'
    assert f"{inside}.google_cloudfunctions2_function.this" in created
    assert f'{inside}.google_service_account_iam_member.deployer["delivery"]' in created
    assert f"{inside}.time_sleep.grants" in created
    assert all(ADDED in address or "aisle-popular" in address for address in created), created
    # what lists all functions: the migrate job's settings, the dashboard and alerts
    others = {address: actions for address, actions in changed.items() if address not in created}
    assert {tuple(actions) for actions in others.values()} <= {("update",)}
    assert [address for address in others if "cloudfunctions2_function" in address] == [
        'module.function["migrate"].google_cloudfunctions2_function.this'
    ]
    apply(deployed)
    assert changes(deployed.plan_pinned(*CHOSEN)) == {}


def test_a_pull_request_plans_from_a_copy_without_the_password(deployed: Terraform, tmp_path: Path) -> None:
    state = json.loads(deployed.run("state", "pull"))
    assert PASSWORD in json.dumps(state)
    copy = tmp_path / "plan.tfstate"
    copy.write_text(json.dumps(plan_state.withhold(state)))
    assert PASSWORD not in copy.read_text()
    plan = deployed.plan_pinned(*CHOSEN, "-refresh=false", f"-state={copy}")
    assert PASSWORD not in plan.text
    assert changes(plan) == {}


def test_a_domain_closes_nothing_before_its_second_step(deployed: Terraform) -> None:
    first = deployed.plan_pinned(*CHOSEN, DOMAIN)
    assert broken(first) == []
    assert "google_compute_managed_ssl_certificate.this" in {address.split("[")[0] for address in changes(first)}
    assert [address for address in changes(first) if "google_cloudfunctions2_function" in address] == []
    apply(deployed, DOMAIN)
    second = deployed.plan_pinned(*CHOSEN, DOMAIN, "-var=public_access=load_balancer")
    assert broken(second) == []
    changed = changes(second)
    # the edge is what answered for all functions until then
    assert {tuple(actions) for address, actions in changed.items() if "edge" not in address} == {("update",)}
    assert {tuple(actions) for address, actions in changed.items() if "edge" in address} == {("delete",)}
    functions = {address.split('"')[1] for address in changed if "google_cloudfunctions2_function" in address}
    assert functions >= {entry.name for entry in manifest().entries.values() if entry.public}
    apply(deployed, DOMAIN, "-var=public_access=load_balancer")


def test_everything_can_be_removed(deployed: Terraform) -> None:
    chosen = (f"-var=project_id={PROJECT}", pinned(), *CHOSEN)
    deployed.run("destroy", "-input=false", "-no-color", "-auto-approve", *chosen)
    assert json.loads(deployed.run("state", "pull")).get("resources", []) == []
