"""A plan as text, as JSON and as Terraform's variables; and the files that are written from it."""

import json
from pathlib import Path

import pytest

from delivery import plan_texts
from delivery.arithmetic import amount
from delivery.capacity import plan_for
from delivery.capacity_plan import REDIS_THREAD, SQL_CONNECTIONS, SQL_PROCESSORS, Plan
from delivery.demand import PROFILES, Demand
from shared.manifest import manifest
from tests.unit.delivery.test_capacity import GIB, ROUND


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


def test_training_leaves_the_function_for_spark_with_its_memory() -> None:
    # 32 GiB ÷ 64 bytes of a pair, of 0.9 × events/s × 90 days
    events = 3 * 32 * GIB / 64 / 0.9 / (90 * 86_400)
    for factor, where in ((0.999, "the job similarity with more memory, or Spark"), (1.001, "Spark")):
        demand = Demand(events * factor, events_per_s=events * factor)
        assert f"Training: {where}," in plan_texts.text(plan_for(demand, ROUND))
    assert "Training: the job similarity," in plan_texts.text(plan_for(Demand(1), ROUND))


def test_the_text_says_what_breaks_first_or_is_beyond_its_limit(hundred: Plan) -> None:
    assert f"First to break: {hundred.limits[0].name}, at " in plan_texts.text(hundred)
    beyond = plan_for(Demand(1e6), ROUND)
    assert f"Beyond its limit: {beyond.limits[0].name}" in plan_texts.text(beyond)


def test_terraform_gets_every_function_and_no_job(hundred: Plan) -> None:
    written = plan_texts.terraform_values(hundred)
    for entry in manifest().entries.values():
        assert (f"\n  {entry.name} " in written) == (entry.kind not in ("job", "edge")), entry.name
    assert f'vpc_egress     = "{hundred.egress}"' in written
    assert "network_mbps = " in written
    assert "network_mbps" not in plan_texts.terraform_values(plan_for(Demand(100_000), ROUND))


def test_the_page_says_up_to_which_load_the_design_goes(hundred: Plan) -> None:
    within = plan_texts.reach([hundred])
    first = next(limit for limit in hundred.limits if limit.name != "training memory")
    assert within.startswith("Apart from training memory, the first limit of the largest plan is ")
    assert first.name in within
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
