"""The capacity plan: what a load needs, computed from measured costs, with every step of the arithmetic.

delivery/costs.json has what an operation costs (``python -m benchmarks.capacity`` measures it), delivery/limits.json
what Google Cloud allows, delivery/prices.json what it charges, and functions.yaml the size of each function.
docs/capacity.md explains the plan and shows those of the profiles in terraform/envs/.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from delivery import cost
from delivery.arithmetic import Line, total
from delivery.capacity_plan import (
    ADDRESSES,
    CONNECTOR,
    REDIS_THREAD,
    SQL_CONNECTIONS,
    SQL_MEMORY,
    SQL_PROCESSORS,
    Costs,
    Limit,
    Plan,
    read_limits,
)
from delivery.demand import LEAST_REQUESTS, MOST_REQUESTS, Demand
from delivery.function_sizing import addresses_of, plan_functions
from delivery.service_sizing import plan_database, plan_messages, plan_network, plan_redis
from delivery.training_sizing import plan_training, spark_cost
from delivery.workload import BUSY, rates_of, work_of
from shared.manifest import manifest

EGRESS_ADDRESSES: Final = 1020
SECONDS_OF_MONTH: Final = cost.HOURS * 3600


def plan_cost(plan: Plan, rates: Mapping[str, Line], costs: Costs) -> None:
    """Add the cost of a month, by the prices and the formulas of docs/cost.md."""
    demand = plan.demand
    served = {
        name: rate
        for name, rate in rates.items()
        if manifest().entries[str(costs.operations[name]["function"])].kind == "http"
    }
    work = total("", work_of("function_ms", "ms", served, demand, costs), "ms/s").result
    events = manifest().of_kind("event")
    applied = {name: rates[name] for name in ("event_applied", "purchase_counted")}
    handled = total("", work_of("function_ms", "ms", applied, demand, costs), "ms/s").result
    messages = rates["event_applied"].result
    load = cost.Load(
        name="planned",
        requests=demand.requests_per_s / demand.peak_ratio * SECONDS_OF_MONTH,
        # an instance is paid for while it has a request, so that its idle share is paid for too
        seconds=work / demand.requests_per_s / 1000 / BUSY,
        concurrency=1.0,
        cached=0.0,
        events=messages / demand.requests_per_s,
        event_kib=costs.sizes["message_bytes"] / 1024,
        handler_seconds=(handled / messages / len(events) / 1000 / BUSY) if messages else 0.0,
    )
    size = cost.Size(
        name="planned",
        sql=lambda prices: cost.machine(prices, plan.sql_cpus, plan.sql_memory_mib / 1024, plan.disk_gib, zones=2),
        redis=lambda prices: plan.redis_gib * prices.redis_standard_gib_hour * cost.HOURS,
        connector=lambda prices: plan.connector_instances * prices.connector_e2_micro_hour * cost.HOURS,
        warm_instances=1,
        balancer=True,
        bigquery=True,
        monitoring=True,
        pipeline=True,
    )
    plan.monthly = cost.components(cost.listed(), size, load) | {"Spark": spark_cost(plan)}


def limits_of(plan: Plan, published: float, pushed: float, limits: Mapping[str, float]) -> list[Limit]:
    """Return the limits of the present design."""
    found = [
        Limit(
            "instances of a function",
            max(plan.max_instances.values()),
            limits["instances_of_function"],
            "instances",
            "request a higher quota",
        ),
        Limit(SQL_PROCESSORS, plan.sql_work_cpus, limits["sql_cpus"], "vCPU", "serve reads from a replica"),
        Limit(
            SQL_MEMORY,
            plan.sql_used_gib,
            limits["sql_cpus"] * limits["sql_memory_gib_per_cpu_max"],
            "GiB",
            "use a larger machine of Cloud SQL Enterprise Plus",
        ),
        Limit("PostgreSQL disk", plan.disk_gib, limits["sql_disk_gib"], "GiB", "keep events for fewer months"),
        Limit(
            SQL_CONNECTIONS,
            plan.max_connections,
            limits["sql_connections"],
            "connections",
            "add a connection pooler",
        ),
        Limit("Redis memory", plan.redis_gib, limits["redis_gib"], "GiB", "shard the keys across several instances"),
        Limit(REDIS_THREAD, plan.redis_busy, BUSY, "of a thread", "shard the keys across several instances"),
        Limit(
            "Redis throughput",
            plan.network_mbps,
            limits["redis_mbps"],
            "Mbit/s",
            "shard the keys across several instances",
        ),
        Limit("Pub/Sub publish throughput", published, limits["pubsub_publish_mb_s"], "MB/s", "request a higher quota"),
        Limit("Pub/Sub push throughput", pushed, limits["pubsub_push_mb_s"], "MB/s", "request a higher quota"),
        Limit(
            ADDRESSES,
            addresses_of(plan).result if plan.egress == "direct" else 0,
            EGRESS_ADDRESSES,
            "addresses",
            "widen local.egress_range",
        ),
    ]
    if plan.egress == "connector":
        throughput = limits["connector_mbps_per_instance"] * limits["connector_instances_max"] * BUSY
        found.append(Limit(CONNECTOR, plan.network_mbps, throughput, "Mbit/s", 'set vpc_egress = "direct"'))
    return found


def plan_for(demand: Demand, costs: Costs | None = None) -> Plan:
    """Return the plan for a demand."""
    costs, allowed = costs or Costs.read(), read_limits()
    plan = _plan(demand, costs, allowed)
    found = [replace(limit, reached_at=find_reach(limit.name, demand, costs, allowed)) for limit in plan.limits]
    plan.limits = sorted(found, key=lambda limit: (_load_of(limit), -limit.share))
    plan.training_limits = [
        replace(limit, reached_at=find_reach(limit.name, demand, costs, allowed)) for limit in plan.training_limits
    ]
    return plan


def _load_of(limit: Limit) -> float:
    return math.inf if limit.reached_at is None else limit.reached_at


def _plan(demand: Demand, costs: Costs, allowed: Mapping[str, float]) -> Plan:
    plan = Plan(demand)
    plan.sections["Traffic"], rates = rates_of(demand)
    plan_functions(plan, rates, costs)
    plan_database(plan, rates, costs, allowed)
    plan_network(plan, rates, costs, allowed)
    plan_redis(plan, rates, costs)
    published, pushed = plan_messages(plan, rates, costs)
    plan_training(plan, rates, costs)
    plan_cost(plan, rates, costs)
    plan.limits = limits_of(plan, published, pushed, allowed)
    return plan


def find_reach(name: str, demand: Demand, costs: Costs, allowed: Mapping[str, float]) -> float | None:
    """Return the requests/s at which a limit is reached, to three digits; 0 if at LEAST_REQUESTS, None if nowhere.

    Parts of a plan do not grow with the load, or grow in steps, so the load is searched for.
    """

    def is_within(requests_per_s: float) -> bool:
        scaled = min(requests_per_s, demand.events * requests_per_s / demand.requests_per_s)
        plan = _plan(replace(demand, requests_per_s=requests_per_s, events_per_s=scaled), costs, allowed)
        if name == CONNECTOR and plan.egress == "direct":
            return False
        return all(limit.share <= 1 for limit in [*plan.limits, *plan.training_limits] if limit.name == name)

    low, high = LEAST_REQUESTS, MOST_REQUESTS
    if not is_within(low):
        return 0.0
    if is_within(high):
        return None
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if is_within(middle) else (low, middle)
    return float(f"{low:.3g}")
