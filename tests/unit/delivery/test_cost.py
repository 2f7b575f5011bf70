"""docs/cost.md follows from the prices and from functions.yaml."""

import re
from dataclasses import fields

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
    totals = [[sum(cost.components(cost.listed(), size, load).values()) for load in cost.LOADS] for size in cost.SIZES]
    assert all(row == sorted(row) for row in totals)
    assert totals[0][0] < totals[1][0] < totals[2][0]


def test_a_price_that_doubles_doubles_its_component() -> None:
    twice = cost.replace(cost.listed(), redis_basic_gib_hour=2 * cost.listed().redis_basic_gib_hour)
    before, after = (cost.components(prices, cost.SIZES[1], cost.LOADS[0]) for prices in (cost.listed(), twice))
    assert after["Memorystore"] == pytest.approx(2 * before["Memorystore"])
    assert {name: value for name, value in after.items() if name != "Memorystore"} == {
        name: value for name, value in before.items() if name != "Memorystore"
    }


def test_the_table_of_accounts_equals_the_output_of_its_script() -> None:
    assert accounts.main(["--check"]) == 0


def test_the_floor_is_what_the_three_paid_parts_of_dev_cost() -> None:
    prices = cost.listed()
    database = prices.sql_micro_month + 10 * (prices.sql_ssd_gib_month + prices.sql_backup_gib_month)
    hourly = prices.redis_basic_gib_hour + 2 * prices.connector_f1_micro_hour
    assert cost.floor(prices) == pytest.approx(database + 730 * hourly)
    assert cost.floor(prices) == pytest.approx(59, abs=0.5)


def test_the_smallest_shop_stays_below_the_floor_and_its_page_says_both() -> None:
    prices = cost.listed()
    smallest = cost.components(prices, cost.SIZES[0], cost.LOADS[0])
    assert smallest["Memorystore"] == smallest["VPC connector"] == smallest["Monitoring"] == 0
    assert sum(smallest.values()) < cost.floor(prices)
    page = cost.FILE.read_text()
    assert f"about ${cost.floor(prices):.0f} a month" in page
    assert f"| **total** | **{sum(smallest.values()):.0f}** |" in page


def test_forwarding_rules_have_one_price_together() -> None:
    prod = cost.components(cost.listed(), cost.SIZES[2], cost.LOADS[0])
    fixed = 5.0 + 10 * 1.0  # Cloud Armor's policy and rules
    assert prod["Load balancer, CDN, Cloud Armor"] == pytest.approx(0.025 * 730 + fixed)


def test_free_quantities_count_once_for_a_billing_account() -> None:
    prices = cost.listed()
    paid = prices.without_free_tier()
    for size in cost.SIZES:
        here, elsewhere = (sum(cost.components(one, size, cost.LOADS[1]).values()) for one in (prices, paid))
        assert here < elsewhere
    assert {field.name for field in fields(paid) if getattr(paid, field.name) == 0} == {
        field.name for field in fields(paid) if field.name.startswith("free_")
    }


def test_every_price_has_a_source_and_the_day_of_its_comparison_or_none() -> None:
    for name, price in cost.LIST["prices"].items():
        assert price["source"].startswith("https://cloud.google.com/"), name
        assert price["value"] > 0, name
        assert price["checked"] is None or re.fullmatch(r"\d{4}-\d\d-\d\d", price["checked"]), name
