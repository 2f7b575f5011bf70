"""Where a shop is trained by its plan, at the limits and beside them, and what Spark costs."""

from dataclasses import replace

import pytest

from delivery import cost
from delivery.capacity import plan_for
from delivery.capacity_plan import Plan
from delivery.demand import Demand
from delivery.training_sizing import spark_month, trained_by
from tests.unit.delivery.test_capacity import ROUND, result

GIB = 2**30
SECONDS = 90 * 86_400


def plan_with(events: float, products: int = 1) -> Plan:
    """Return the plan of a shop with so many events in 90 days; a pair takes 64 bytes."""
    rate = 3 * events / SECONDS
    return plan_for(Demand(rate, events_per_s=rate, products=products), ROUND)


def test_training_needs_memory_for_its_pairs_and_products() -> None:
    # 0.9 pairs of an event × 64 bytes, and 616 bytes for each product and each of 8 processors
    plan = plan_with(10_000_000, products=1_000_000)
    assert plan.pairs == pytest.approx(9_000_000)
    assert plan.training_gib == pytest.approx((9_000_000 * 64 + 1_000_000 * 616 * 8) / GIB)


@pytest.mark.parametrize(
    ("gib", "by"),
    [
        (5.999, "the job similarity"),
        (6.001, "Spark, or the job similarity with 16 GiB"),
        (11.999, "Spark, or the job similarity with 16 GiB"),
        (12.001, "Spark, or the job similarity with 32 GiB"),
        (23.999, "Spark, or the job similarity with 32 GiB"),
        (24.001, "Spark"),
    ],
)
def test_a_quarter_of_the_memory_of_each_machine_stays_free(gib: float, by: str) -> None:
    plan = plan_with((gib * GIB - 616 * 8) / 64 / 0.9)
    assert trained_by(plan) == by
    assert plan.on_spark == (by != "the job similarity")
    assert (spark_month(plan) > 0) == plan.on_spark


def test_products_alone_may_need_more_than_one_machine() -> None:
    # 6 GiB, less 90,000 × 64 bytes, ÷ (616 × 8 bytes) = 1,306,147 products
    assert [plan_with(100_000, products=products).on_spark for products in (1_305_000, 1_308_000)] == [False, True]


def test_beyond_a_batch_a_sample_of_the_users_is_trained() -> None:
    # with few products, 61 groups of 1,000,000,000 ÷ 32 entries, of which nine tenths are planned for; 3 of an event
    most = 0.9 * 61 * ((1_000_000_000 - 616) // 32) / 3
    within, beyond = plan_with(0.999 * most), plan_with(1.001 * most)
    assert [trained_by(plan) for plan in (within, beyond)] == ["Spark", "Spark, one user in 2"]
    # half of the users cost half as much as all of twice as many; no limit of the plan is exceeded by training
    assert beyond.spark_dcu_hours < within.spark_dcu_hours
    assert not any("batch" in limit.name for limit in beyond.exceeded)
    memory, events, read = within.training_limits
    assert (memory.share > 1, events.share <= 1, read.share <= 1) == (True, True, True)
    assert beyond.training_limits[1].share > 1
    for limit in within.training_limits:
        assert limit.reached_at == pytest.approx(within.demand.requests_per_s / limit.share, rel=0.01)


def test_beyond_what_the_job_can_read_fewer_days_are_trained() -> None:
    within, beyond, ten = plan_with(999_000_000), plan_with(1_001_000_000), plan_with(10_000_000_000)
    assert [trained_by(plan) for plan in (within, beyond, ten)] == [
        "Spark, one user in 2",
        "Spark, 89 days of one user in 2",
        "Spark, 9 days of one user in 2",
    ]
    assert result(ten, "Training", "events of 9 days") == pytest.approx(1_000_000_000)
    assert ten.spark_dcu_hours == pytest.approx(within.spark_dcu_hours, rel=0.05)
    assert (within.training_limits[2].share <= 1, beyond.training_limits[2].share > 1) == (True, True)
    # a shop that one machine trains reads all of its days
    assert plan_with(1_000_000).training_days == 90


def test_the_cost_of_spark_is_that_of_its_entries() -> None:
    # 200,000,000 events are 600,000,000 entries; 31,250,000 of them in a task, less a product: 20 groups, so order 23
    plan = plan_with(200_000_000)
    assert result(plan, "Training", "entries sent to 552 tasks") == pytest.approx(600_000_000 * 24)
    hours = 600_000_000 * 24 * 5 / 3.6e9
    assert result(plan, "Training", "work of a batch") == pytest.approx(hours)
    # 1.2 DCU of a vCPU, busy for 0.6 of the time; driver and two executors, of 4.8 DCU each, for ten minutes
    units = hours / 0.6 * 1.2 + 3 * 4.8 / 6
    assert plan.spark_dcu_hours == pytest.approx(units)
    month = units * cost.listed().spark_dcu_hour * 730 / 24
    assert plan.monthly["Spark"] == pytest.approx(month)
    dearer = replace(ROUND, sizes={**ROUND.sizes, "spark_entry_us": 10})
    assert plan_for(plan.demand, dearer).spark_dcu_hours == pytest.approx(2 * units - 2.4)


def test_a_shop_that_one_machine_trains_pays_nothing_for_spark() -> None:
    plan = plan_with(1_000_000)
    assert plan.monthly["Spark"] == 0
    assert [line.what for line in plan.sections["Training"]][-1] == "training memory"
