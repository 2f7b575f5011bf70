"""The job that lets the first admin in is closed to everybody but operators, and mails have what they need."""

import json

import pytest

from shared.manifest import Manifest
from tests.terraform.conftest import PROJECT, Plan, Terraform
from tests.terraform.test_plan import environment, secrets

JOB = "first_admin"
MAILERS = {"accounts", "admin"}


def members(plan: Plan, name: str) -> set[str | None]:
    """Return who may invoke a function."""
    return {grant.get("member") for grant in plan.inside("google_cloud_run_v2_service_iam_member").get(name, [])}


def test_only_operators_may_call_it(dev: Plan, prod: Plan) -> None:
    assert members(dev, JOB) == set()
    assert members(prod, JOB) == {"user:ada@example.com"}
    # the account of the pipeline, which may migrate, may not
    assert len(members(prod, "migrate")) == 2
    # and nobody may invoke every function of the project
    project_wide = [
        *prod.of("google_project_iam_member").values(),
        *prod.of("google_project_iam_binding").values(),
    ]
    assert "roles/run.invoker" not in {grant.get("role") for grant in project_wide}


def test_it_has_no_schedule_and_an_account_that_reads_one_secret(plan: Plan) -> None:
    assert JOB not in plan.by_key("google_cloud_scheduler_job", "this")
    (account,) = plan.inside("google_service_account")[JOB]
    assert account["account_id"] == "aisle-first-admin"
    function = plan.functions()[JOB]
    assert secrets(function) == {"TOKEN_KEYS"}
    assert environment(function)["DATABASE_ROLE"] == "aisle_jobs"
    assert f"aisle-first-admin@{PROJECT}.iam" in environment(plan.functions()["migrate"])["DATABASE_JOBS"].split(",")


def test_links_begin_with_the_domain_or_the_accounts_function(dev: Plan, prod: Plan, listed: Manifest) -> None:
    for name, function in prod.functions().items():
        needed = listed.entries[name].kind == "http" or name == JOB
        assert environment(function).get("PUBLIC_URL") == ("https://shop.example.com" if needed else None), name
    address = environment(dev.functions()[JOB])["PUBLIC_URL"]
    assert address.startswith("https://accounts-")
    assert address.endswith(".europe-west1.run.app")


def test_without_mail_no_function_has_its_settings(plan: Plan) -> None:
    for function in plan.functions().values():
        assert not {"MAIL_URL", "MAIL_FROM"} & environment(function).keys()
        assert "MAIL_PASSWORD" not in secrets(function)


@pytest.fixture(scope="module")
def mailing(terraform: Terraform) -> Plan:
    """The plan of a shop that sends mails, with an address of its own."""
    mail = {"url": "smtps://shop@smtp.example.com:465", "from": "shop@example.com", "password_secret": "mail-password"}
    pinned = {name: f"{name}/earlier.zip" for name in terraform_entries()}
    return terraform.plan(
        "-var-file=envs/dev.tfvars",
        f"-var=mail={json.dumps(mail)}",
        "-var=public_url=https://www.example.com/shop",
        f"-var=pinned_sources={json.dumps(pinned)}",
    )


def terraform_entries() -> list[str]:
    """Return the names of all functions and jobs."""
    from shared.manifest import manifest

    return list(manifest().entries)


def test_the_functions_that_mail_read_the_password_from_its_secret(mailing: Plan) -> None:
    for name, function in mailing.functions().items():
        settings = environment(function)
        assert ("MAIL_PASSWORD" in secrets(function)) == (name in MAILERS), name
        assert settings.get("MAIL_URL") == ("smtps://shop@smtp.example.com:465" if name in MAILERS else None), name
        assert settings.get("MAIL_FROM") == ("shop@example.com" if name in MAILERS else None), name
    readers = {
        name
        for name, grants in mailing.inside("google_secret_manager_secret_iam_member").items()
        if f"projects/{PROJECT}/secrets/mail-password" in {grant.get("secret_id") for grant in grants}
    }
    assert readers == MAILERS
    assert environment(mailing.functions()[JOB])["PUBLIC_URL"] == "https://www.example.com/shop"
