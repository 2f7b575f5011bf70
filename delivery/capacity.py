"""The capacity plan: what a load needs, computed from measured costs, with every step of the arithmetic.

delivery/costs.json has what an operation costs (``python -m benchmarks.capacity`` measures it), delivery/limits.json
what Google Cloud allows, delivery/prices.json what it charges, and functions.yaml the size of each function.
docs/capacity.md explains the plan and shows those of the profiles in terraform/envs/.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from delivery import cost
from delivery.arithmetic import Line, Term, total
from delivery.demand import (
    CACHED,
    GROWING,
    LEAST_REQUESTS,
    MEASURED_PRODUCTS,
    MIX,
    MOST_REQUESTS,
    UNCACHED,
    Demand,
)
from shared.manifest import Entry, manifest
from shared.settings import Settings
from shared.storage.recommending.attribution import KEPT_DAYS
from shared.storage.recommending.models import MAX_VERSIONS

COSTS_FILE: Final = Path(__file__).parent / "costs.json"
LIMITS_FILE: Final = Path(__file__).parent / "limits.json"

# Share of a processor, or of a line, that is planned to be busy at the peak. Requests then take 1 / (1 - share) times
# as long as they work.
BUSY: Final = 0.6
# Instances that may run, for each that the peak needs.
SPARE: Final = 1.5
# Functions that the mix does not reach serve few requests.
OTHER_INSTANCES: Final = 2
# terraform/functions.tf has the same pools, and terraform/database.tf the same reserve; terraform/tests compares them.
POOL: Final[Mapping[str, int]] = {"http": 4, "event": 4, "job": 3}
RESERVED_CONNECTIONS: Final = 15
CONNECTIONS_STEP: Final = 50
ADDRESSES_PER_INSTANCE: Final = 4
EGRESS_ADDRESSES: Final = 1020

TTL_S: Final = int(Settings.model_fields["recommendation_ttl_s"].default)
EVENT_MONTHS: Final = int(Settings.model_fields["event_retention_months"].default)
TRAINING_DAYS: Final = int(Settings.model_fields["similarity_lookback_days"].default)
SECONDS_OF_MONTH: Final = cost.HOURS * 3600
DAY_S: Final = 86_400
DAYS_OF_MONTH: Final = 30.4
# Rows of events that are so young are read often.
HOT_DAYS: Final = 7
# Beyond the rows: dead rows, write-ahead log, temporary files.
DISK_RESERVE: Final = 1.3
# Beyond the entries: fragmentation, buffers of clients, copies for the replica.
REDIS_RESERVE: Final = 1.5
REDIS_GIB_MIN: Final = 5
SQL_DISK_MIN: Final = 50
# disk_autoresize_limit in terraform/database.tf
DISK_GROWTH: Final = 10
# GiB of a processor of Cloud SQL, unless the plan needs more: the ratio of its standard machines.
SQL_GIB_PER_CPU: Final = 3.75
GIB: Final = 2.0**30
# the limit beyond which Spark trains: the others stop requests
TRAINING: Final = "memory of the training"
CONNECTOR: Final = "the connector"


@dataclass(frozen=True)
class Costs:
    """The measured costs: of operations by name, and of what grows."""

    operations: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, float]

    @classmethod
    def read(cls) -> "Costs":
        """Return the costs of delivery/costs.json."""
        file = json.loads(COSTS_FILE.read_text())
        return cls(file["operations"], {name: float(size["value"]) for name, size in file["sizes"].items()})


def read_limits() -> dict[str, float]:
    """Return the values of delivery/limits.json."""
    return {name: float(limit["value"]) for name, limit in json.loads(LIMITS_FILE.read_text())["limits"].items()}


@dataclass(frozen=True)
class Limit:
    """How much of a limit the plan uses, and what to do beyond it."""

    name: str
    used: float
    limit: float
    unit: str
    beyond: str
    # requests/s of this shop and this mix at which it is reached; None if it is beyond MOST_REQUESTS
    reached_at: float | None = None

    @property
    def share(self) -> float:
        """The used share of the limit."""
        return self.used / self.limit


@dataclass
class Plan:
    """The plan: its sections, each a list of lines; what Terraform is given; the limits, the first to break first."""

    demand: Demand
    sections: dict[str, list[Line]] = field(default_factory=dict)
    instances: dict[str, int] = field(default_factory=dict)
    max_instances: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    max_connections: int = 0
    sql_cpus: int = 0
    sql_memory_mib: int = 0
    disk_gib: int = 0
    egress: str = "connector"
    connector_instances: int = 0
    network_mbps: float = 0.0
    redis_gib: int = 0
    redis_busy: float = 0.0
    pairs: float = 0.0
    training_gib: float = 0.0
    monthly: dict[str, float] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)

    @property
    def sql_tier(self) -> str:
        """The tier of Cloud SQL as Terraform writes it: the largest one for a plan that needs more."""
        limits = read_limits()
        cpus = min(self.sql_cpus, int(limits["sql_cpus"]))
        memory_mib = min(self.sql_memory_mib, int(cpus * limits["sql_memory_gib_per_cpu_max"] * 1024))
        return f"db-custom-{cpus}-{memory_mib}"


def rates_of(demand: Demand) -> tuple[list[Line], dict[str, Line]]:
    """Return the lines of the traffic, and of them those of operations: how often each comes, each second."""
    per_s = "requests/s"
    others = Line(
        "requests without an event", (Term("", demand.requests_per_s, per_s), Term("-", demand.events, per_s)), per_s
    )
    shares = sum(share for name, share in MIX.items() if name != "event")
    lines: list[Line] = [others]
    rates: dict[str, Line] = {}
    for name, share in MIX.items():
        rate = (
            Line("events", (Term("", demand.events, per_s),), per_s)
            if name == "event"
            else Line(name, (Term("", others.result, per_s), Term("×", share / shares, "of the mix")), per_s)
        )
        lines.append(rate)
        if name in CACHED:
            for operation, part in zip(CACHED[name], (demand.cached_share, 1 - demand.cached_share), strict=True):
                label = operation.replace("_", ", ")
                rates[operation] = Line(label, (Term("", rate.result, per_s), Term("×", part, "of them")), per_s)
                lines.append(rates[operation])
        else:
            rates[UNCACHED[name]] = rate
    # each checkout publishes a message of purchases, which both event functions receive
    checkouts = rates["checkout"].result
    messages = Line(
        "messages to apply", (Term("", demand.events, "events/s"), Term("+", checkouts, "orders/s")), "messages/s"
    )
    purchases = Line("of these with purchases", (Term("", checkouts, "orders/s"),), "messages/s")
    rates["event_applied"], rates["purchase_counted"] = messages, purchases
    return [*lines, messages, purchases], rates


def growth_of(operation: str, demand: Demand, costs: Costs) -> float:
    """Return how many times as much an operation costs in this catalog as in the measured one."""
    if operation not in GROWING or demand.products <= MEASURED_PRODUCTS:
        return 1.0
    return float(costs.sizes["search_growth"] ** math.log10(demand.products / MEASURED_PRODUCTS))


def work_of(part: str, unit: str, rates: Mapping[str, Line], demand: Demand, costs: Costs) -> list[Line]:
    """Return a line for each operation with a cost of this kind: how much of it, each second."""
    lines = []
    for name, rate in rates.items():
        each = float(costs.operations[name][part])
        if each == 0:
            continue
        terms = [Term("", rate.result, rate.unit), Term("×", each, unit)]
        # what is found and sent is a page in every catalog
        if part == "postgres_ms" and (growth := growth_of(name, demand, costs)) != 1:
            terms.append(Term("×", growth, "for the larger catalog"))
        lines.append(Line(name.replace("_", " "), tuple(terms), f"{unit}/s"))
    return lines


def planned() -> dict[str, Entry]:
    """Return the entries by name without the edge: in the profiles, a load balancer calls each function."""
    return {name: entry for name, entry in manifest().entries.items() if entry.kind != "edge"}


def plan_functions(plan: Plan, rates: Mapping[str, Line], costs: Costs) -> None:
    """Plan the instances of each function: enough processors, concurrency and connections for the peak."""
    lines: list[Line] = []
    waits = 1 / (1 - BUSY)
    for name, entry in planned().items():
        if entry.kind == "job":
            continue
        operations = [each for each in rates if costs.operations[each]["function"] == name]
        if not operations:
            plan.max_instances[name] = min(entry.max_instances, OTHER_INSTANCES)
            continue
        own = {each: rates[each] for each in operations}
        work = work_of("function_ms", "ms", own, plan.demand, costs)
        busy = total(f"{name}: work", work, "ms/s")
        by_cpu = Line(
            f"{name}: instances for the processor",
            (
                Term("", busy.result, "ms/s"),
                Term("÷", 1000 * entry.cpu, "ms/s of an instance"),
                Term("÷", BUSY, "busy"),
            ),
            "instances",
            up=True,
        )
        waiting = work_of("postgres_ms", "ms", own, plan.demand, costs)
        in_database = total(f"{name}: work in PostgreSQL", waiting, "ms/s")
        by_concurrency = Line(
            f"{name}: instances for concurrency",
            (
                Term("", busy.result + in_database.result, "ms/s"),
                Term("÷", 1000, "ms/s of a request"),
                Term("×", waits, "with waiting"),
                Term("÷", entry.concurrency, "requests of an instance"),
            ),
            "instances",
            up=True,
        )
        candidates = [by_cpu, by_concurrency]
        lines += [*work, busy, by_cpu, by_concurrency]
        if in_database.result > 0:
            by_connections = Line(
                f"{name}: instances for connections",
                (
                    Term("", in_database.result, "ms/s in PostgreSQL"),
                    Term("÷", 1000, "ms/s of a connection"),
                    Term("×", waits, "with waiting"),
                    Term("÷", POOL[entry.kind] - 1, "connections of an instance"),
                ),
                "instances",
                up=True,
            )
            candidates.append(by_connections)
            lines.append(by_connections)
        plan.instances[name] = max(1, *(int(line.result) for line in candidates))
        limit = Line(
            f"{name}: instances that may run",
            (Term("", plan.instances[name], "instances"), Term("×", SPARE, "to spare")),
            "instances",
            up=True,
        )
        plan.max_instances[name] = max(OTHER_INSTANCES, int(limit.result))
        lines.append(limit)
    plan.sections["Functions"] = lines


def connections_of(entry: Entry, max_instances: int) -> Line:
    """Return the connections that a function or job may hold; a release holds those of two revisions."""
    revisions = 1 if entry.kind == "job" else 2
    return Line(
        f"{entry.name}",
        (
            Term("", max_instances, "instances"),
            Term("×", POOL[entry.kind], "connections"),
            Term("×", revisions, "revisions"),
        ),
        "connections",
    )


def plan_database(plan: Plan, rates: Mapping[str, Line], costs: Costs, limits: Mapping[str, float]) -> None:
    """Plan connections, processors, memory and disk of PostgreSQL."""
    demand, sizes = plan.demand, costs.sizes
    held = [
        connections_of(entry, plan.max_instances.get(entry.name, entry.max_instances))
        for entry in planned().values()
        if "postgres" in entry.needs
    ]
    of_functions = total("connections of functions and jobs", held, "connections")
    needed = Line(
        "connections, with those of operators and backups",
        (Term("", of_functions.result, "connections"), Term("+", RESERVED_CONNECTIONS, "reserved")),
        "connections",
    )
    plan.connections = int(needed.result)
    plan.max_connections = math.ceil(plan.connections / CONNECTIONS_STEP) * CONNECTIONS_STEP
    work = work_of("postgres_ms", "ms", rates, demand, costs)
    busy = total("work in PostgreSQL", work, "ms/s")
    cpus = Line(
        "processors", (Term("", busy.result, "ms/s"), Term("÷", 1000, "ms/s of one"), Term("÷", BUSY, "busy")), "vCPU"
    )
    mean_events = Line(
        "events, mean of the month",
        (Term("", rates["event_applied"].result, "messages/s"), Term("÷", demand.peak_ratio, "peak to mean")),
        "events/s",
    )
    logged = Line(
        "answers to log, mean of the month",
        (
            Term("", rates["recommendations_computed"].result, "requests/s"),
            Term("÷", demand.peak_ratio, "peak to mean"),
        ),
        "answers/s",
    )

    def rows(what: str, rate: float, days: float, size: str, per: str) -> Line:
        terms = (
            Term("", rate, f"{per}/s"),
            Term("×", days, "days"),
            Term("×", DAY_S, "s"),
            Term("×", sizes[size], "bytes"),
            Term("÷", GIB, "bytes of a GiB"),
        )
        return Line(what, terms, "GiB")

    def stock(what: str, count: float, size: str, times: float = 1) -> Line:
        terms = [Term("", count, "rows"), Term("×", sizes[size], "bytes")]
        if times != 1:
            terms.append(Term("×", times, "versions"))
        return Line(what, (*terms, Term("÷", GIB, "bytes of a GiB")), "GiB")

    products = stock("products", demand.products, "product_row_bytes")
    users = stock("users", demand.users, "user_row_bytes")
    models = stock("models", demand.products, "model_row_bytes", MAX_VERSIONS)
    hot = rows(f"events of {HOT_DAYS} days", mean_events.result, HOT_DAYS, "event_row_bytes", "events")
    connected = Line(
        "connections",
        (
            Term("", plan.connections, "connections"),
            Term("×", sizes["connection_bytes"], "bytes"),
            Term("÷", GIB, "bytes of a GiB"),
        ),
        "GiB",
    )
    memory = total("memory: what is read often, and connections", [products, users, models, hot, connected], "GiB")
    least_cpus = max(cpus.result, memory.result / limits["sql_memory_gib_per_cpu_max"])
    # one, or an even number
    plan.sql_cpus = 1 if least_cpus <= 1 else 2 * math.ceil(least_cpus / 2)
    gib = max(limits["sql_memory_gib_min"], plan.sql_cpus * SQL_GIB_PER_CPU, memory.result)
    plan.sql_memory_mib = math.ceil(gib * 4) * 256
    stored = [
        products,
        users,
        models,
        rows(
            f"events of {EVENT_MONTHS} months",
            mean_events.result,
            EVENT_MONTHS * DAYS_OF_MONTH,
            "event_row_bytes",
            "events",
        ),
        rows(f"logged answers of {KEPT_DAYS} days", logged.result, KEPT_DAYS, "log_row_bytes", "answers"),
    ]
    disk = Line(
        "disk",
        (
            Term("", total("rows", stored, "GiB").result, "GiB"),
            Term("×", DISK_RESERVE, "for dead rows and the write-ahead log"),
        ),
        "GiB",
        up=True,
    )
    plan.disk_gib = max(SQL_DISK_MIN, int(disk.result))
    plan.sections["PostgreSQL"] = [
        *held,
        of_functions,
        needed,
        *work,
        busy,
        cpus,
        products,
        users,
        models,
        mean_events,
        hot,
        connected,
        memory,
        logged,
        *stored[3:],
        disk,
    ]


def plan_network(plan: Plan, rates: Mapping[str, Line], costs: Costs, limits: Mapping[str, float]) -> None:
    """Plan how functions reach the private network: through the connector while it suffices."""
    traffic = work_of("network_kib", "KiB", rates, plan.demand, costs)
    all_traffic = total("traffic to PostgreSQL and Redis", traffic, "KiB/s")
    mbps = Line(
        "throughput",
        (Term("", all_traffic.result, "KiB/s"), Term("×", 8 * 1024, "bits of a KiB"), Term("÷", 1e6, "bits of a Mbit")),
        "Mbit/s",
    )
    plan.network_mbps = mbps.result
    needed = Line(
        "connector instances",
        (
            Term("", mbps.result, "Mbit/s"),
            Term("÷", limits["connector_mbps_per_instance"], "Mbit/s of an instance"),
            Term("÷", BUSY, "busy"),
        ),
        "instances",
        up=True,
    )
    fits = needed.result <= limits["connector_instances_max"]
    plan.egress = "connector" if fits else "direct"
    plan.connector_instances = max(int(limits["connector_instances_min"]), int(needed.result)) if fits else 0
    lines = [*traffic, all_traffic, mbps, needed]
    if not fits:
        lines.append(addresses_of(plan))
    plan.sections["Network"] = lines


def addresses_of(plan: Plan) -> Line:
    """Return the addresses that functions need with Direct VPC egress."""
    instances = sum(
        plan.max_instances.get(entry.name, entry.max_instances)
        for entry in planned().values()
        if {"postgres", "redis"} & set(entry.needs)
    )
    return Line(
        "addresses of the subnetwork",
        (Term("", instances, "instances"), Term("×", ADDRESSES_PER_INSTANCE, "addresses")),
        "addresses",
    )


def plan_redis(plan: Plan, rates: Mapping[str, Line], costs: Costs) -> None:
    """Plan the memory and the processor of Redis."""
    demand, sizes = plan.demand, costs.sizes
    computed = Line(
        "answers computed while one lives",
        (Term("", rates["recommendations_computed"].result, "requests/s"), Term("×", TTL_S, "s")),
        "answers",
    )
    of_users = Line(
        "answers of users",
        (Term("", min(computed.result, demand.users), "users"), Term("×", sizes["user_entry_bytes"], "bytes")),
        "bytes",
    )
    of_products = Line(
        "product pages",
        (Term("", demand.products, "products"), Term("×", sizes["product_entry_bytes"], "bytes")),
        "bytes",
    )
    entries = total("entries", [of_users, of_products], "bytes")
    memory = Line(
        "memory",
        (
            Term("", entries.result, "bytes"),
            Term("×", REDIS_RESERVE, "for fragmentation"),
            Term("÷", GIB, "bytes of a GiB"),
        ),
        "GiB",
        up=True,
    )
    plan.redis_gib = max(REDIS_GIB_MIN, int(memory.result))
    work = work_of("redis_ms", "ms", rates, demand, costs)
    busy = total("work in Redis", work, "ms/s")
    share = Line(
        "share of its one thread", (Term("", busy.result, "ms/s"), Term("÷", 1000, "ms/s of a thread")), "of a thread"
    )
    plan.redis_busy = share.result
    plan.sections["Redis"] = [computed, of_users, of_products, entries, memory, *work, busy, share]


def plan_messages(plan: Plan, rates: Mapping[str, Line], costs: Costs) -> tuple[float, float]:
    """Plan Pub/Sub; return MB/s published and pushed. A request counts as at least 1 kB."""
    size = max(1000.0, costs.sizes["message_bytes"])

    def throughput(what: str, rate: float) -> Line:
        terms = (
            Term("", rate, "messages/s"),
            Term("×", size, "bytes, at least 1 kB"),
            Term("÷", 1e6, "bytes of a MB"),
        )
        return Line(what, terms, "MB/s")

    published = throughput("published", rates["event_applied"].result)
    deliveries = Line(
        "deliveries",
        (
            Term("", rates["event_applied"].result, "to update_preferences"),
            Term("+", rates["purchase_counted"].result, "to update_popularity"),
        ),
        "messages/s",
    )
    pushed = throughput("pushed", deliveries.result)
    plan.sections["Pub/Sub"] = [published, deliveries, pushed]
    return published.result, pushed.result


def plan_training(plan: Plan, rates: Mapping[str, Line], costs: Costs) -> None:
    """Plan the nightly training: pairs of users and products, and the memory that they need."""
    pairs = Line(
        f"pairs of users and products in {TRAINING_DAYS} days",
        (
            Term("", rates["event_applied"].result / plan.demand.peak_ratio, "events/s on average"),
            Term("×", TRAINING_DAYS * DAY_S, "s"),
            Term("×", costs.sizes["pairs_per_event"], "pairs of an event"),
        ),
        "pairs",
    )
    memory = Line(
        "memory of the training",
        (
            Term("", pairs.result, "pairs"),
            Term("×", costs.sizes["pair_bytes"], "bytes"),
            Term("÷", GIB, "bytes of a GiB"),
        ),
        "GiB",
    )
    plan.pairs, plan.training_gib = pairs.result, memory.result
    plan.sections["Training"] = [pairs, memory]


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
    plan.monthly = cost.components(cost.listed(), size, load)


def limits_of(plan: Plan, published: float, pushed: float, limits: Mapping[str, float]) -> list[Limit]:
    """Return the limits of the present design."""
    largest = max(plan.max_instances, key=lambda name: plan.max_instances[name])
    sql_memory = plan.sql_memory_mib / 1024
    found = [
        Limit(
            f"instances of {largest}",
            plan.max_instances[largest],
            limits["instances_of_function"],
            "instances",
            "ask Google for a higher quota",
        ),
        Limit("processors of PostgreSQL", plan.sql_cpus, limits["sql_cpus"], "vCPU", "serve reads from a replica"),
        Limit(
            "memory of PostgreSQL",
            sql_memory,
            limits["sql_cpus"] * limits["sql_memory_gib_per_cpu_max"],
            "GiB",
            "keep events for fewer months",
        ),
        Limit("disk of PostgreSQL", plan.disk_gib, limits["sql_disk_gib"], "GiB", "keep events for fewer months"),
        Limit(
            "connections to PostgreSQL",
            plan.max_connections,
            limits["sql_connections"],
            "connections",
            "put a pooler in front",
        ),
        Limit("memory of Redis", plan.redis_gib, limits["redis_gib"], "GiB", "divide the keys among several"),
        Limit("the thread of Redis", plan.redis_busy, BUSY, "of a thread", "move to Memorystore for Valkey"),
        Limit(
            "throughput of Redis", plan.network_mbps, limits["redis_mbps"], "Mbit/s", "move to Memorystore for Valkey"
        ),
        Limit(
            "publishing to Pub/Sub", published, limits["pubsub_publish_mb_s"], "MB/s", "ask Google for a higher quota"
        ),
        Limit("pushes of Pub/Sub", pushed, limits["pubsub_push_mb_s"], "MB/s", "ask Google for a higher quota"),
        Limit(
            TRAINING,
            plan.training_gib,
            limits["function_memory_gib"],
            "GiB",
            "train on Spark",
        ),
    ]
    if plan.egress == "connector":
        throughput = limits["connector_mbps_per_instance"] * limits["connector_instances_max"] * BUSY
        found.append(Limit(CONNECTOR, plan.network_mbps, throughput, "Mbit/s", 'set vpc_egress = "direct"'))
    else:
        addresses = addresses_of(plan).result
        found.append(Limit("addresses", addresses, EGRESS_ADDRESSES, "addresses", "widen local.egress_range"))
    return found


def plan_for(demand: Demand, costs: Costs | None = None) -> Plan:
    """Return the plan for a demand."""
    costs, allowed = costs or Costs.read(), read_limits()
    plan = _plan(demand, costs, allowed)
    found = [replace(limit, reached_at=find_reach(limit.name, demand, costs, allowed)) for limit in plan.limits]
    plan.limits = sorted(found, key=lambda limit: (limit.reached_at or math.inf, -limit.share))
    return plan


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
    """Return the requests/s at which a limit is reached, to three digits; None beyond MOST_REQUESTS.

    Parts of a plan do not grow with the load, or grow in steps, so the load is searched for.
    """

    def is_within(requests_per_s: float) -> bool:
        scaled = min(requests_per_s, demand.events * requests_per_s / demand.requests_per_s)
        plan = _plan(replace(demand, requests_per_s=requests_per_s, events_per_s=scaled), costs, allowed)
        if name == CONNECTOR and plan.egress == "direct":
            return False
        return all(limit.share <= 1 for limit in plan.limits if limit.name == name)

    low, high = LEAST_REQUESTS, MOST_REQUESTS
    if is_within(high):
        return None
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if is_within(middle) else (low, middle)
    return float(f"{low:.3g}")
