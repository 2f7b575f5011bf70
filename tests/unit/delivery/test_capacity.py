"""The capacity plan: worked examples, at its limits and beside them."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from delivery import capacity_plan, cost, function_sizing
from delivery.capacity import plan_for
from delivery.capacity_plan import Costs, Plan
from delivery.demand import PROFILES, Demand
from shared.manifest import manifest

GIB = 2**30


def operation(function: str, function_ms: float, postgres_ms: float, redis_ms: float, kib: float) -> dict[str, Any]:
    """Return the costs of an operation; with TLS, Redis works half as much again."""
    return {
        "function": function,
        "function_ms": function_ms,
        "postgres_ms": postgres_ms,
        "redis_ms": redis_ms,
        "redis_tls_ms": redis_ms / 2,
        "network_kib": kib,
    }


# round figures, so that a plan can be worked out by hand
ROUND = Costs(
    {
        "recommendations_cached": operation("recommendations", 0.1, 0, 0.05, 6),
        "recommendations_computed": operation("recommendations", 4, 6, 0.1, 20),
        "trending_cached": operation("recommendations", 0.2, 0, 0.05, 6),
        "product_cached": operation("products", 0.5, 0, 0.05, 1),
        "product_computed": operation("products", 2, 1, 0.05, 2),
        "search": operation("products", 5, 8, 0.1, 30),
        "event_accepted": operation("events", 1, 0, 0, 0),
        "event_applied": operation("update_preferences", 2, 3, 0.1, 3),
        "purchase_counted": operation("update_popularity", 2, 1, 0.1, 1),
        "cart_filled": operation("cart", 5, 4, 0.1, 5),
        "checkout": operation("cart", 10, 10, 0.1, 20),
    },
    {
        "event_row_bytes": 400,
        "product_row_bytes": 4000,
        "user_row_bytes": 500,
        "model_row_bytes": 1000,
        "log_row_bytes": 300,
        "user_entry_bytes": 10_000,
        "product_entry_bytes": 1500,
        "search_entry_bytes": 20_000,
        "client_counted_redis_ms": 0.01,
        "client_counted_redis_tls_ms": 0.002,
        "message_bytes": 500,
        "connection_bytes": 5 * 2**20,
        "search_growth": 2,
        "pairs_per_event": 0.9,
        "pair_bytes": 64,
        "spark_entry_us": 5,
    },
)


def result(plan: Plan, section: str, what: str) -> float:
    (line,) = [line for line in plan.sections[section] if line.what == what]
    return line.result


@pytest.fixture(scope="module")
def hundred() -> Plan:
    return plan_for(Demand(100), ROUND)


def test_the_mix_is_divided_and_half_of_it_answered_by_redis(hundred: Plan) -> None:
    assert result(hundred, "Traffic", "requests without an event") == pytest.approx(80)
    assert result(hundred, "Traffic", "events") == pytest.approx(20)
    # 80 of the 100 are shared by 80 parts of the mix, of which recommendations are 35
    assert result(hundred, "Traffic", "recommendations") == pytest.approx(35)
    assert result(hundred, "Traffic", "recommendations, cached") == pytest.approx(21)
    assert result(hundred, "Traffic", "recommendations, computed") == pytest.approx(14)
    assert result(hundred, "Traffic", "messages to apply") == pytest.approx(24)


def test_the_instances_of_a_function_are_the_most_that_any_resource_needs(hundred: Plan) -> None:
    # 21 × 0.1 + 14 × 4 + 5 × 0.2 = 59.1 ms/s of an instance's 600
    assert result(hundred, "Functions", "recommendations: work") == pytest.approx(59.1)
    assert result(hundred, "Functions", "recommendations: instances for the processor") == 1
    # 14 × 6 = 84 ms/s in PostgreSQL, 2.5 × as long with waiting, on 3 connections
    assert result(hundred, "Functions", "recommendations: instances for connections") == 1
    assert hundred.instances["recommendations"] == 1
    # one and a half times as many may run, and two at least
    assert hundred.max_instances["recommendations"] == 2
    larger = plan_for(Demand(10_000), ROUND)
    # 5910 ms/s ÷ 600 = 9.85, while connections need 8400 ms/s ÷ 1000 × 2.5 ÷ 3 = 7
    assert result(larger, "Functions", "recommendations: instances for the processor") == 10
    assert result(larger, "Functions", "recommendations: instances for connections") == 7
    assert (larger.instances["recommendations"], larger.max_instances["recommendations"]) == (10, 15)


def test_one_instance_is_enough_until_its_processor_is_busy() -> None:
    # events alone: 600 a second of 1 ms are the 0.6 of one processor that may be busy
    at, beside = (plan_for(Demand(each, events_per_s=each), ROUND) for each in (600, 601))
    assert (at.instances["events"], beside.instances["events"]) == (1, 2)


def test_an_instance_with_two_processors_does_twice_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = function_sizing.planned()
    entries = planned | {"events": replace(planned["events"], cpu=2)}
    monkeypatch.setattr(function_sizing, "planned", lambda: entries)
    at, beside = (plan_for(Demand(each, events_per_s=each), ROUND) for each in (1200, 1201))
    assert (at.instances["events"], beside.instances["events"]) == (1, 2)


def test_connections_count_two_revisions_and_the_reserve(hundred: Plan) -> None:
    pools = sum(
        (1 if entry.kind == "job" else 2)
        * hundred.max_instances.get(entry.name, entry.max_instances)
        * function_sizing.POOL[entry.kind]
        for entry in function_sizing.planned().values()
        if "postgres" in entry.needs
    )
    assert hundred.connections == pools + 15
    assert hundred.max_connections % 50 == 0
    assert 0 <= hundred.max_connections - hundred.connections < 50


def test_the_processors_of_the_database_are_one_or_even() -> None:
    # 14 × 6 + 8 × 1 + 10 × 8 + 24 × 3 + 4 × 1 + 6 × 4 + 4 × 10 = 312 ms/s of 100 requests/s, of 600
    assert result(plan_for(Demand(100), ROUND), "PostgreSQL", "work in PostgreSQL") == pytest.approx(312)
    one, two = (plan_for(Demand(rate), ROUND) for rate in (192, 193))
    assert (one.sql_cpus, two.sql_cpus) == (1, 2)
    assert plan_for(Demand(1, users=1000), ROUND).sql_tier == "db-custom-1-3840"
    four = plan_for(Demand(400), ROUND)
    # 1248 ms/s ÷ 600 = 2.08 processors
    assert four.sql_cpus == 4


def test_memory_follows_the_rows_and_may_ask_for_more_processors() -> None:
    # 3,000,000 users × 500 bytes and what there is besides need more than one processor may have (6.5 GiB)
    small, large = (plan_for(Demand(10, users=users), ROUND) for users in (1_000, 20_000_000))
    assert small.sql_memory_mib == 3840
    needed = result(large, "PostgreSQL", "memory: what is read often, and connections")
    assert needed > 20_000_000 * 500 / GIB
    assert large.sql_cpus == 2
    assert needed <= large.sql_memory_mib / 1024 < needed + 0.25
    assert large.sql_memory_mib % 256 == 0


def test_the_disk_holds_thirteen_months_of_mean_traffic(hundred: Plan) -> None:
    # 24 messages/s at the peak are 8 on average
    events = 8 * 13 * 30.4 * 86_400 * 400 / GIB
    assert result(hundred, "PostgreSQL", "events of 13 months") == pytest.approx(events)
    logged = 14 / 3 * 35 * 86_400 * 300 / GIB
    assert result(hundred, "PostgreSQL", "logged answers of 35 days") == pytest.approx(logged)
    rest = (10_000 * 4000 + 100_000 * 500 + 10_000 * 1000 * 5) / GIB
    assert hundred.disk_gib == pytest.approx(1.3 * (events + logged + rest), abs=1)


def test_the_connector_carries_six_tenths_of_its_instances() -> None:
    per_request = result(plan_for(Demand(100), ROUND), "Network", "throughput") / 100
    at, beside = (plan_for(Demand(600 / per_request * factor), ROUND) for factor in (0.9999, 1.0001))
    assert (at.egress, at.connector_instances) == ("connector", 10)
    assert (beside.egress, beside.connector_instances) == ("direct", 0)
    assert [line.what for line in beside.sections["Network"]][-1] == "addresses of the subnetwork"


def test_redis_holds_an_answer_of_each_user_at_most() -> None:
    # 14 answers a second live 300 s: 4200, of at most so many users
    many, few = (plan_for(Demand(100, users=users), ROUND) for users in (100_000, 1_000))
    assert result(many, "Redis", "answers of users") == pytest.approx(4200 * 10_000)
    assert result(few, "Redis", "answers of users") == pytest.approx(1_000 * 10_000)
    assert result(few, "Redis", "product pages") == result(many, "Redis", "product pages")


def test_redis_holds_the_pages_of_a_minute() -> None:
    # 8 product pages and 10 searches a second, of at most so many products, and of any number of searches
    many, few = (plan_for(Demand(100, products=products), ROUND) for products in (481, 479))
    assert result(many, "Redis", "product pages") == pytest.approx(480 * 1500)
    assert result(few, "Redis", "product pages") == pytest.approx(479 * 1500)
    for plan in (many, few):
        assert result(plan, "Redis", "search pages") == pytest.approx(600 * 20_000)


def test_redis_has_half_as_much_memory_again_as_its_entries() -> None:
    assert plan_for(Demand(100), ROUND).redis_gib == 5
    # 100 times as many are (420,000 × 10,000 + 48,000 × 1500 + 60,000 × 20,000) bytes × 1.5 = 7.64 GiB
    large = plan_for(Demand(10_000, products=1_000_000, users=1_000_000), ROUND)
    assert result(large, "Redis", "entries") == pytest.approx(5_472_000_000)
    assert large.redis_gib == 8


def test_the_thread_of_redis_counts_clients_and_encrypts(hundred: Plan) -> None:
    # 21 × 0.05 + 14 × 0.1 + 5 × 0.05 + 12 × 0.05 + 8 × 0.05 + 10 × 0.1 + 24 × 0.1 + 4 × 0.1 + 6 × 0.1 + 4 × 0.1
    operations = 8.5
    assert result(hundred, "Redis", "recommendations computed, TLS") == pytest.approx(14 * 0.05)
    assert result(hundred, "Redis", "rate limits, each request of another client") == pytest.approx(100 * 0.01)
    counted = 100 * (0.01 + 0.002)
    assert result(hundred, "Redis", "work in Redis") == pytest.approx(1.5 * operations + counted)
    assert hundred.redis_busy == pytest.approx((1.5 * operations + counted) / 1000)


def test_small_messages_count_as_a_kilobyte(hundred: Plan) -> None:
    assert result(hundred, "Pub/Sub", "published") == pytest.approx(24 * 1000 / 1e6)
    assert result(hundred, "Pub/Sub", "pushed") == pytest.approx(28 * 1000 / 1e6)
    larger = replace(ROUND, sizes={**ROUND.sizes, "message_bytes": 1001})
    assert result(plan_for(Demand(100), larger), "Pub/Sub", "published") == pytest.approx(24 * 1001 / 1e6)


def test_a_larger_catalog_makes_searches_dearer_and_nothing_else() -> None:
    small, ten_times = (plan_for(Demand(100, products=products), ROUND) for products in (10_000, 100_000))
    assert result(ten_times, "PostgreSQL", "search") == pytest.approx(2 * result(small, "PostgreSQL", "search"))
    assert result(ten_times, "Functions", "search") == result(small, "Functions", "search")
    assert result(ten_times, "PostgreSQL", "checkout") == result(small, "PostgreSQL", "checkout")
    smaller = plan_for(Demand(100, products=100), ROUND)
    assert result(smaller, "PostgreSQL", "search") == result(small, "PostgreSQL", "search")


def test_limits_are_in_the_order_in_which_they_are_reached(hundred: Plan) -> None:
    reached = [float("inf") if limit.reached_at is None else limit.reached_at for limit in hundred.limits]
    assert reached == sorted(reached)
    assert hundred.exceeded == []
    exceeded = plan_for(Demand(1e6), ROUND).exceeded
    assert len(exceeded) > 3
    assert all(limit.share > 1 for limit in exceeded)


def test_a_limit_that_no_load_keeps_is_reached_at_any_load_and_named_by_its_cause() -> None:
    # 10^9 users × 500 bytes = 466 GiB, and twice as many for the second
    within, beyond = (
        plan_for(Demand(1, users=1_000_000_000), replace(ROUND, sizes={**ROUND.sizes, "user_row_bytes": size}))
        for size in (500, 1000)
    )
    assert within.exceeded == []
    assert [(limit.name, limit.reached_at) for limit in beyond.exceeded] == [("PostgreSQL memory", 0)]
    assert beyond.sql_work_cpus == 1
    assert beyond.sql_cpus > 96


def test_the_instances_of_whichever_function_has_most_are_limited() -> None:
    # with events alone it is another function than in the mix
    mixed, events = plan_for(Demand(100), ROUND), plan_for(Demand(100, events_per_s=100), ROUND)
    for plan, name in ((mixed, "products"), (events, "update_preferences")):
        (limit,) = [each for each in plan.limits if each.name == "instances of a function"]
        assert limit.reached_at is not None
        within, beyond = (
            plan_for(replace(plan.demand, requests_per_s=at, events_per_s=plan.demand.events * at / 100), ROUND)
            for at in (limit.reached_at * 0.99, limit.reached_at * 1.02)
        )
        assert max(within.max_instances, key=within.max_instances.__getitem__) == name
        assert max(within.max_instances.values()) <= 1000 < max(beyond.max_instances.values())


def test_a_plan_with_the_connector_knows_the_limit_of_direct_egress(hundred: Plan) -> None:
    (limit,) = [each for each in hundred.limits if each.name == "subnetwork addresses"]
    assert (hundred.egress, limit.used) == ("connector", 0)
    assert limit.reached_at is not None
    for factor, within in ((0.99, True), (1.02, False)):
        there = plan_for(Demand(limit.reached_at * factor), ROUND)
        assert there.egress == "direct"
        assert (function_sizing.addresses_of(there).result <= 1020) == within


@pytest.mark.parametrize("name", ["Redis CPU", "PostgreSQL CPU", "PostgreSQL memory"])
def test_a_limit_is_reached_where_it_says(hundred: Plan, name: str) -> None:
    (limit,) = [each for each in hundred.limits if each.name == name]
    assert limit.reached_at is not None
    for factor, within in ((0.99, True), (1.02, False)):
        (there,) = [each for each in plan_for(Demand(limit.reached_at * factor), ROUND).limits if each.name == name]
        assert (there.share <= 1) == within


def test_connections_that_do_not_grow_are_no_reason_to_break_early(hundred: Plan) -> None:
    (limit,) = [each for each in hundred.limits if each.name == "PostgreSQL connections"]
    # most of the connections are there at any load: 100 times the load needs far less than 100 times as many
    assert limit.reached_at is not None
    assert limit.reached_at > 5 * 100 / limit.share


def test_the_connector_is_reached_where_direct_egress_takes_over(hundred: Plan) -> None:
    (limit,) = [each for each in hundred.limits if each.name == "connector throughput"]
    assert limit.reached_at is not None
    egress = [plan_for(Demand(limit.reached_at * factor), ROUND).egress for factor in (0.99, 1.02)]
    assert egress == ["connector", "direct"]


def test_the_cost_is_that_of_the_page_of_costs(hundred: Plan) -> None:
    prices = cost.listed()
    hourly = hundred.sql_cpus * prices.sql_cpu_hour + hundred.sql_memory_mib / 1024 * prices.sql_memory_gib_hour
    disk = hundred.disk_gib * (2 * prices.sql_ssd_gib_month + prices.sql_backup_gib_month)
    assert hundred.monthly["Cloud SQL"] == pytest.approx(2 * hourly * 730 + disk)
    assert hundred.monthly["Memorystore"] == pytest.approx(5 * prices.redis_standard_gib_hour * 730)
    assert hundred.monthly["VPC connector"] == pytest.approx(2 * prices.connector_e2_micro_hour * 730)


def test_a_plan_without_events_still_adds_up() -> None:
    plan = plan_for(Demand(10, events_per_s=0), ROUND)
    assert result(plan, "Traffic", "events") == 0
    assert sum(plan.monthly.values()) > 0


def test_the_limits_of_a_demand_are_allowed() -> None:
    for values in ({"cached_share": 0}, {"cached_share": 1}, {"peak_ratio": 1}, {"events_per_s": 100.0}):
        assert plan_for(Demand(100, **values), ROUND).instances  # type: ignore[arg-type]  # of various options


def test_every_cost_has_its_command_and_its_day() -> None:
    file = json.loads(capacity_plan.COSTS_FILE.read_text())
    entries = {**file["operations"], **file["sizes"]}
    assert set(file["operations"]) == set(ROUND.operations)
    assert set(file["sizes"]) == set(ROUND.sizes)
    for name, entry in entries.items():
        assert entry["command"].startswith(("python -m benchmarks.", "./aisle bench ")), name
        assert date.fromisoformat(entry["measured"]), name
    for name, entry in file["operations"].items():
        assert entry["function_ms"] > 0, name
        assert manifest().entries[entry["function"]].kind != "job"
        # where Redis works, it encrypts
        assert bool(entry["redis_ms"]) == bool(entry["redis_tls_ms"]), name


@pytest.mark.parametrize("demand", PROFILES, ids=lambda demand: f"{demand.requests_per_s:g}")
def test_no_profile_exceeds_a_limit(demand: Demand) -> None:
    assert plan_for(demand).exceeded == []


def test_every_limit_has_a_source_and_the_day_of_its_comparison_or_none() -> None:
    for name, limit in json.loads(capacity_plan.LIMITS_FILE.read_text())["limits"].items():
        assert limit["source"].startswith("https://cloud.google.com/"), name
        assert limit["value"] > 0, name
        assert limit["checked"] is None or date.fromisoformat(limit["checked"]), name


def test_a_plan_beyond_the_largest_database_deploys_the_largest_one(hundred: Plan) -> None:
    for cpus, memory_mib, tier in (
        (96, 96 * 6656, "db-custom-96-638976"),
        (98, 98 * 3840, "db-custom-96-376320"),
        (98, 98 * 6656, "db-custom-96-638976"),
    ):
        assert replace(hundred, sql_cpus=cpus, sql_memory_mib=memory_mib).sql_tier == tier
