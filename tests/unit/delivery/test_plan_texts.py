"""A plan as text, as JSON and as Terraform's variables; and the files that are written from it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from delivery import plan_texts
from delivery.arithmetic import amount
from delivery.capacity import plan_for
from delivery.capacity_plan import REDIS_THREAD, SQL_CONNECTIONS, SQL_PROCESSORS, Plan
from delivery.demand import PROFILES, Demand
from delivery.training_sizing import describe_training
from shared.manifest import manifest
from tests.unit.delivery.test_capacity import ROUND


@pytest.fixture(scope="module")
def hundred() -> Plan:
    return plan_for(Demand(100), ROUND)


def test_the_page_and_the_profiles_of_terraform_are_the_plans() -> None:
    assert plan_texts.main(["--check"]) == 0, "Run: python -m delivery.plan_texts"
    page = plan_texts.PAGE.read_text()
    for demand in PROFILES:
        assert plan_texts.text(plan_for(demand)) in page


def test_a_page_that_differs_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "capacity.md"
    changed.write_text(plan_texts.page().replace("requests/s", "requests/h", 1))
    monkeypatch.setattr(plan_texts, "PAGE", changed)
    assert plan_texts.main(["--check"]) == 1
    assert capsys.readouterr().err == f"{changed} is out of date. Run: python -m delivery.plan_texts\n"


def test_the_plan_for_programs_has_the_same_figures(hundred: Plan) -> None:
    document = json.loads(json.dumps(plan_texts.as_json(hundred)))
    assert document["sql_tier"] == hundred.sql_tier
    assert document["breaks_first"] == hundred.limits[0].name
    assert document["demand"]["events_per_s"] == pytest.approx(20)
    assert document["total_usd"] == pytest.approx(sum(document["monthly_usd"].values()))
    for name, lines in document["arithmetic"].items():
        assert [line["result"] for line in lines] == [line.result for line in hundred.sections[name]]


def test_the_command_of_a_plan_names_what_is_not_a_default() -> None:
    assert plan_texts.command(Demand(100)) == "./aisle simulate --requests-per-s 100"
    demand = Demand(1000, products=1_000_000, users=12_345_678, events_per_s=0.5, cached_share=0.25)
    assert plan_texts.command(demand) == (
        "./aisle simulate --requests-per-s 1000 --products 1000000 --users 12345678 --events-per-s 0.5 "
        "--cached-share 0.25"
    )


def test_the_text_says_what_trains_the_shop_and_from_which_load_something_else_does(hundred: Plan) -> None:
    shown = plan_texts.text(hundred)
    assert f"Training: {describe_training(hundred)}; {amount(hundred.pairs)} pairs in 90 days\n" in shown
    for limit in hundred.training_limits:
        line = next(line for line in shown.splitlines() if line.startswith(f"  {limit.name}: "))
        assert line.endswith(f"reached {plan_texts.load_of(limit)}; then {limit.beyond}")


def test_the_text_says_what_breaks_first_or_names_all_that_is_beyond_its_limit(hundred: Plan) -> None:
    shown = plan_texts.text(hundred)
    assert f"First to break: {hundred.limits[0].name}, at " in shown
    assert "Beyond its limit" not in shown
    beyond = plan_for(Demand(1e6), ROUND)
    shown = plan_texts.text(beyond)
    assert "First to break" not in shown
    named = [line for line in shown.splitlines() if line.startswith("  Beyond its limit: ")]
    assert named == [f"  Beyond its limit: {plan_texts.describe_limit(limit)}" for limit in beyond.exceeded]
    assert len(named) > 3


def test_a_limit_that_no_load_keeps_says_so(hundred: Plan) -> None:
    reached = [plan_texts.load_of(replace(hundred.limits[0], reached_at=at)) for at in (0.0, 0.02, 1234.0, None)]
    assert reached == ["at any load", "at 0.02 requests/s", "at 1,234 requests/s", "beyond 1,000,000 requests/s"]


def test_a_database_beyond_the_largest_machine_says_what_is_needed(hundred: Plan) -> None:
    assert f"PostgreSQL: {hundred.sql_tier}, " in plan_texts.text(hundred)
    beyond = plan_for(Demand(100_000), ROUND)
    assert beyond.sql_cpus > 96
    needed = f"{beyond.sql_tier} (the largest; {amount(beyond.sql_cpus)} vCPU and "
    assert f"PostgreSQL: {needed}" in plan_texts.text(beyond)


def test_terraform_gets_no_more_than_the_limits_and_is_told_so(hundred: Plan) -> None:
    written = plan_texts.terraform_values(plan_for(Demand(1e6), ROUND))
    values = dict(re.findall(r"(\w+) += ([0-9]+)", written))
    assert int(values["disk_gb"]) == 6554
    assert int(values["max_connections"]) == 5000
    assert int(values["update_preferences"]) == 1000
    assert int(re.findall(r"memory_gb = ([0-9]+)", written)[0]) <= 300
    assert written.count("\n# This plan exceeds a limit. ") == len(plan_for(Demand(1e6), ROUND).exceeded)
    assert "exceeds" not in plan_texts.terraform_values(hundred)


def test_terraform_gets_every_function_and_no_job(hundred: Plan) -> None:
    written = plan_texts.terraform_values(hundred)
    for entry in manifest().entries.values():
        assert (f"\n  {entry.name} " in written) == (entry.kind not in ("job", "edge")), entry.name
    assert f'vpc_egress     = "{hundred.egress}"' in written
    assert "network_mbps = " in written
    assert "network_mbps" not in plan_texts.terraform_values(plan_for(Demand(100_000), ROUND))


def test_the_page_says_up_to_which_load_the_design_goes(hundred: Plan) -> None:
    within = plan_texts.reach([hundred])
    assert within.startswith("The first limit of the largest plan is ")
    assert hundred.limits[0].name in within
    beyond = plan_texts.reach([hundred, plan_for(Demand(100_000), ROUND)])
    assert beyond.startswith("The largest plan exceeds a limit of the present design: ")


def test_the_page_says_up_to_which_load_a_part_is_not_needed(hundred: Plan) -> None:
    shown = " ".join(plan_texts.not_needed(hundred).split())
    assert shown.startswith(
        "## What no plan needs At 100 requests/s, three parts of larger systems are still unnecessary:"
    )
    for part, name in (
        ("A connection pooler.", SQL_CONNECTIONS),
        ("Read replicas.", SQL_PROCESSORS),
        ("Memorystore for Valkey.", REDIS_THREAD),
    ):
        (limit,) = [each for each in hundred.limits if each.name == name]
        used = f"{amount(limit.used)} of {amount(limit.limit)} {limit.unit}"
        assert (
            f"**{part}** The plan uses {used}; the limit is reached at {amount(limit.reached_at or 0)} requests/s."
            in shown
        )
