"""Where a shop is trained by its plan, at the limits and beside them, and what Spark costs."""

from dataclasses import replace

import pytest

from delivery import cost, training_sizing
from delivery.capacity import plan_for
from delivery.capacity_plan import Plan
from delivery.demand import Demand
from delivery.training_sizing import describe_training, spark_cost
from jobs.data import size
from tests.unit.delivery.test_capacity import ROUND, result

GIB = 2**30
SECONDS = 90 * 86_400


def plan_with(events: float, products: int = 1) -> Plan:
    """Return the plan of a shop with so many events in 90 days; a pair takes 64 bytes."""
    rate = 3 * events / SECONDS
    return plan_for(Demand(rate, events_per_s=rate, products=products), ROUND)


def test_training_needs_memory_for_its_pairs_and_products() -> None:
    # 0.9 pairs of an event × 64 bytes, and 616 bytes for each product and each of the job's 2 processors
    plan = plan_with(10_000_000, products=1_000_000)
    assert plan.pairs == pytest.approx(9_000_000)
    assert plan.training_gib == pytest.approx((9_000_000 * 64 + 1_000_000 * 616 * 2) / GIB)


@pytest.mark.parametrize(
    ("pairs", "products", "on_spark"),
    # a product counts as seven pairs
    [(29_999_000, 1, False), (30_001_000, 1, True), (1_000_000, 4_140_000, False), (1_000_000, 4_143_000, True)],
)
def test_spark_trains_from_the_size_at_which_the_setting_auto_chooses_it(
    pairs: int, products: int, on_spark: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_with(pairs / 0.9, products)
    assert plan.on_spark == on_spark
    assert (describe_training(plan) == "the job similarity") == (not on_spark)
    assert (spark_cost(plan) > 0) == on_spark
    monkeypatch.setenv("SIMILARITY_ENGINE", "auto")
    assert size.trains_on_spark(round(plan.pairs), products) == on_spark


@pytest.mark.parametrize(
    ("gib", "cpus", "by"),
    [
        (11.999, 4, "Spark, or the job similarity with 16 GiB"),
        (12.001, 4, "Spark, or the job similarity with 32 GiB"),
        (23.999, 8, "Spark, or the job similarity with 32 GiB"),
        (24.001, 8, "Spark"),
    ],
)
def test_a_quarter_of_the_memory_of_each_machine_stays_free(gib: float, cpus: int, by: str) -> None:
    products = 1_000
    plan = plan_with((gib * GIB - 616 * cpus * products) / 64 / 0.9, products)
    assert describe_training(plan) == by


def test_beyond_a_batch_a_sample_of_the_users_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    # with few products, 61 groups of 1,000,000,000 ÷ 32 entries, of which nine tenths are planned for; 3 of an event
    monkeypatch.setattr(training_sizing, "READ_EVENTS", 10**12)
    most = 0.9 * 61 * ((1_000_000_000 - 616) // 32) / 3
    within, beyond, more = plan_with(0.999 * most), plan_with(1.001 * most), plan_with(2.001 * most)
    assert [describe_training(plan) for plan in (within, beyond, more)] == [
        "Spark",
        "Spark, one user in 2",
        "Spark, one user in 3",
    ]
    # half of the users cost half as much; no limit of the plan is exceeded by training
    assert beyond.spark_dcu_hours < within.spark_dcu_hours
    assert not any("batch" in limit.name for limit in beyond.exceeded)
    size_limit, events, read = within.training_limits
    assert (size_limit.share > 1, events.share <= 1, read.share <= 1) == (True, True, True)
    assert beyond.training_limits[1].share > 1
    assert events.reached_at == pytest.approx(within.demand.requests_per_s / events.share, rel=0.01)


def test_beyond_what_the_job_can_read_fewer_days_are_trained() -> None:
    within, beyond, ten = plan_with(499_000_000), plan_with(501_000_000), plan_with(5_000_000_000)
    assert [describe_training(plan) for plan in (within, beyond, ten)] == [
        "Spark",
        "Spark, 89 days of all users",
        "Spark, 9 days of all users",
    ]
    assert result(ten, "Training", "events of 9 days") == pytest.approx(500_000_000)
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
    assert [line.what for line in plan.sections["Training"]][-1].startswith("pairs, and products")
