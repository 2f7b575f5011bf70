"""The job that lets the first admin in is closed to everybody but operators."""

import re

from tests.terraform.conftest import PROJECT, Plan
from tests.terraform.test_plan import environment, secrets

JOB = "first_admin"


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


def test_links_and_pictures_begin_with_the_one_address(plan: Plan) -> None:
    balancer = plan.by_key("google_compute_url_map", "this").get("this")
    host = balancer["host_rule"][0]["hosts"][0] if balancer else r"edge-[\w-]+\.europe-west1\.run\.app"
    for name, entry in plan.listed.entries.items():
        address = environment(plan.functions()[name]).get("PUBLIC_URL")
        if "postgres" not in entry.needs:
            assert address is None, name
        else:
            assert re.fullmatch(f"https://{host}", address or ""), name


def test_it_sends_no_mail(plan: Plan) -> None:
    assert not [setting for setting in environment(plan.functions()[JOB]) if setting.startswith("MAIL_")]
