"""What PostgreSQL, the network, Redis and Pub/Sub need for a load."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from delivery.arithmetic import DAY_S, GIB, Line, Term, total
from delivery.capacity_plan import Costs, Plan
from delivery.function_sizing import addresses_of, connections_of, planned
from delivery.workload import BUSY, work_of
from shared.settings import Settings
from shared.storage.answers.protocol import CATALOG_TTL_S
from shared.storage.recommending.attribution import KEPT_DAYS
from shared.storage.recommending.models import MAX_VERSIONS

# terraform/database.tf has the same reserve; terraform/tests compares them.
RESERVED_CONNECTIONS: Final = 15
CONNECTIONS_STEP: Final = 50
TTL_S: Final = int(Settings.model_fields["recommendation_ttl_s"].default)
EVENT_MONTHS: Final = int(Settings.model_fields["event_retention_months"].default)
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


def round_up_cpus(least: float) -> int:
    """Return the processors of a machine with at least so many: one, or an even number."""
    return 1 if least <= 1 else 2 * math.ceil(least / 2)


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
    plan.sql_work_cpus, plan.sql_used_gib = round_up_cpus(cpus.result), memory.result
    plan.sql_cpus = round_up_cpus(max(cpus.result, memory.result / limits["sql_memory_gib_per_cpu_max"]))
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


def plan_redis(plan: Plan, rates: Mapping[str, Line], costs: Costs) -> None:
    """Plan the memory and the processor of Redis."""
    demand, sizes = plan.demand, costs.sizes

    def living(what: str, operation: str, ttl_s: int, most: float, size: str) -> list[Line]:
        computed = Line(
            f"{what} computed while one lives",
            (Term("", rates[operation].result, "requests/s"), Term("×", ttl_s, "s")),
            what,
        )
        stored = Line(what, (Term("", min(computed.result, most), what), Term("×", sizes[size], "bytes")), "bytes")
        return [computed, stored]

    lines = [
        *living("answers of users", "recommendations_computed", TTL_S, demand.users, "user_entry_bytes"),
        *living("product pages", "product_computed", CATALOG_TTL_S, demand.products, "product_entry_bytes"),
        *living("search pages", "search", CATALOG_TTL_S, math.inf, "search_entry_bytes"),
    ]
    entries = total("entries", lines[1::2], "bytes")
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
    counted = [
        Line(
            f"rate limits, each request of another client{tls}",
            (Term("", demand.requests_per_s, "requests/s"), Term("×", sizes[size], "ms")),
            "ms/s",
        )
        for tls, size in (("", "client_counted_redis_ms"), (", TLS", "client_counted_redis_tls_ms"))
    ]
    encrypted = [
        replace(line, what=f"{line.what}, TLS") for line in work_of("redis_tls_ms", "ms", rates, demand, costs)
    ]
    work = [*work_of("redis_ms", "ms", rates, demand, costs), *encrypted, *counted]
    busy = total("work in Redis", work, "ms/s")
    share = Line(
        "share of its one thread", (Term("", busy.result, "ms/s"), Term("÷", 1000, "ms/s of a thread")), "of a thread"
    )
    plan.redis_busy = share.result
    plan.sections["Redis"] = [*lines, entries, memory, *work, busy, share]


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
