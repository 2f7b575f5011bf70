"""After an apply the next plan changes nothing, as far as a stand-in for the provider can show."""

import json

from shared.manifest import manifest
from tests.terraform.conftest import PROJECT, Terraform


def test_a_second_plan_changes_nothing(terraform: Terraform) -> None:
    pinned = {name: f"{name}/earlier.zip" for name in manifest().entries}
    chosen = ("-var-file=envs/dev.tfvars", f"-var=pinned_sources={json.dumps(pinned)}")
    try:
        terraform.run("apply", "-input=false", "-no-color", "-auto-approve", f"-var=project_id={PROJECT}", *chosen)
        plan = terraform.plan(*chosen)
        changed = {
            change["address"]: change["change"]["actions"]
            for change in plan.document["resource_changes"]
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }
        assert changed == {}
        assert len(plan.resources) > 100
    finally:
        for file in terraform.folder.glob("terraform.tfstate*"):
            file.unlink()
