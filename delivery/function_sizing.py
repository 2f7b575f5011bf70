"""What functions need for a load: instances, connections, and addresses."""

from collections.abc import Mapping
from typing import Final

from delivery.arithmetic import Line, Term, total
from delivery.capacity_plan import Costs, Plan
from delivery.workload import BUSY, work_of
from shared.manifest import Entry, manifest

# Instances that may run, for each that the peak needs.
SPARE: Final = 1.5
# Functions that the mix does not reach serve few requests.
OTHER_INSTANCES: Final = 2
# terraform/functions.tf has the same pools; terraform/tests compares them.
POOL: Final[Mapping[str, int]] = {"http": 4, "event": 4, "job": 3}
ADDRESSES_PER_INSTANCE: Final = 4


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
