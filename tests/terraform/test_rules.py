"""Every profile keeps the rules of tests/terraform/rules, and what contradicts itself is refused."""

import pytest

from tests.terraform.conftest import PROD, PROJECT, Plan, Terraform
from tests.terraform.rules import violations

DOMAIN = "-var=domain=shop.example.com"
# a profile beside dev and prod, and its arguments
PROFILES = {
    "smallest": ("-var-file=envs/smallest.tfvars",),
    "the domain of a live shop, before its certificate": ("-var-file=envs/dev.tfvars", DOMAIN),
    "the domain of a live shop, after its certificate": (
        "-var-file=envs/dev.tfvars",
        DOMAIN,
        "-var=public_access=load_balancer",
    ),
    "closed": ("-var-file=envs/dev.tfvars", "-var=public_access=none"),
    "everything with a connector": (*PROD, "-var=vpc_egress=connector"),
}


def test_dev_and_prod_keep_the_rules(plan: Plan) -> None:
    assert violations(plan) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_other_profiles_keep_the_rules(terraform: Terraform, profile: str) -> None:
    assert violations(terraform.plan_pinned(*PROFILES[profile])) == []


def test_without_public_access_nothing_is_open_and_no_check_is_refused(terraform: Terraform) -> None:
    closed = terraform.plan_pinned("-var-file=envs/dev.tfvars", DOMAIN, "-var=public_access=none")
    assert not [one["address"] for one in closed.resources if one["values"].get("member") == "allUsers"]
    assert not closed.of("google_monitoring_uptime_check_config")
    # the objectives stay: they are computed from the calls of those who may
    assert closed.of("google_monitoring_slo")


def test_access_by_a_load_balancer_needs_one(terraform: Terraform) -> None:
    with pytest.raises(AssertionError, match="needs a domain"):
        terraform.run(
            "plan", "-input=false", "-no-color", f"-var=project_id={PROJECT}", "-var=public_access=load_balancer"
        )
