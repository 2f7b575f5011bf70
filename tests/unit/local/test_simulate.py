"""`./aisle simulate` on the command line."""

import json

import pytest

from delivery import plan_texts
from delivery.capacity import plan_for
from delivery.demand import Demand
from local.__main__ import main
from local.simulate import demand_of


def test_options_make_the_demand() -> None:
    options = ["--requests-per-s", "1000", "--products", "5", "--users", "7", "--events-per-s", "100.5"]
    demand, form = demand_of([*options, "--cached-share", "0.5", "--peak-ratio", "2", "--json"])
    assert demand == Demand(1000, 5, 7, 100.5, 0.5, 2)
    assert form == "json"


def test_the_plan_is_printed_in_three_forms(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_for(Demand(100))
    assert main(["simulate", "--requests-per-s", "100"]) == 0
    assert capsys.readouterr().out == plan_texts.text(plan)
    assert main(["simulate", "--requests-per-s", "100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sql_tier"] == plan.sql_tier
    assert main(["simulate", "--requests-per-s", "100", "--tfvars"]) == 0
    assert capsys.readouterr().out == plan_texts.terraform_values(plan)


def test_numbers_may_have_an_exponent() -> None:
    demand, _ = demand_of(["--requests-per-s", "1e3", "--products", "1e5", "--users", "2.0E6", "--cached-share", ".5"])
    assert demand == Demand(1000, 100_000, 2_000_000, cached_share=0.5)
    assert isinstance(demand.products, int)


def test_variables_that_deploy_less_than_the_plan_needs_are_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["simulate", "--requests-per-s", "100000"]
    plan = plan_for(Demand(100_000))
    assert len(plan.exceeded) > 1
    assert main([*options, "--tfvars"]) == 1
    printed = capsys.readouterr()
    assert printed.out == plan_texts.terraform_values(plan)
    assert printed.err.splitlines() == [
        f"aisle: This plan exceeds a limit. {plan_texts.describe_limit(limit)}" for limit in plan.exceeded
    ]
    # the plan itself is what was asked for
    assert main(options) == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--requests-per-s"),
        (["--requests-per-s", "many"], "'many' is not a number"),
        (["--requests-per-s", "nan"], "'nan' is not a number"),
        (["--requests-per-s", "inf"], "'inf' is not a number"),
        (["--requests-per-s", "-5"], "--requests-per-s must be from 0.01 to 1,000,000, not -5."),
        (["--requests-per-s", "100", "--products", "2.5"], "'2.5' is not a whole number"),
        (["--requests-per-s", "100", "--product", "5"], "unrecognized arguments: --product"),
        (["--requests-per-s", "100", "--events-per-s", "101"], "--events-per-s must be from 0 to --requests-per-s"),
        (["--requests-per-s", "1_000"], "'1_000' is not a number"),
        (["--requests-per-s", "１００"], "'１００' is not a number"),
        (["--requests-per-s", "1e400"], "'1e400' is not a number"),
        (["--requests-per-s", "100", "--users", "1_0"], "'1_0' is not a whole number"),
        (["--requests-per-s", "100", "--users", "1e400"], "'1e400' is not a whole number"),
        (["--requests-per-s", "100", "--requests-per-s", "100"], "--requests-per-s is given twice"),
        (["--requests-per-s", "100", "--users=5", "--users=5"], "--users is given twice"),
        (["--requests-per-s", "100", "--json", "--tfvars"], "not allowed with argument"),
    ],
)
def test_nonsense_is_refused_in_one_line(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("aisle: ")
    assert reason.lower() in printed.err.lower()
    assert printed.err.endswith("See ./aisle simulate --help.\n")
