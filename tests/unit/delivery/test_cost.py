"""docs/cost.md follows from the prices and from functions.yaml."""

import pytest

from delivery import accounts, cost


def test_the_page_equals_the_output_of_its_script() -> None:
    assert cost.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [("* * * * *", 43_200), ("5 * * * *", 720), ("0 2 * * *", 30), ("0 4 * * 0", 30 / 7), ("*/5 * * * *", 8640)],
)
def test_runs_are_counted_from_the_schedule(schedule: str, runs: float) -> None:
    assert cost.runs_per_month(schedule) == pytest.approx(runs)


def test_more_requests_and_more_safety_cost_more() -> None:
    totals = [[sum(cost.components(cost.Prices(), size, load).values()) for load in cost.LOADS] for size in cost.SIZES]
    assert all(row == sorted(row) for row in totals)
    assert totals[0][0] < totals[1][0] < totals[2][0]


def test_a_price_that_doubles_doubles_its_component() -> None:
    twice = cost.replace(cost.Prices(), redis_basic_gib_hour=2 * cost.Prices().redis_basic_gib_hour)
    before, after = (cost.components(prices, cost.SIZES[1], cost.LOADS[0]) for prices in (cost.Prices(), twice))
    assert after["Memorystore"] == pytest.approx(2 * before["Memorystore"])
    assert {name: value for name, value in after.items() if name != "Memorystore"} == {
        name: value for name, value in before.items() if name != "Memorystore"
    }


def test_the_table_of_accounts_equals_the_output_of_its_script() -> None:
    assert accounts.main(["--check"]) == 0
