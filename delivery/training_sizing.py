"""Where the model is trained, and what nightly training on Spark costs: docs/models.md, "Beyond one machine"."""

from collections.abc import Mapping
from typing import Final

from delivery import cost
from delivery.arithmetic import DAY_S, GIB, Line, Term, amount, total
from delivery.capacity_plan import TRAINING_DAYS, Costs, Limit, Plan
from delivery.workload import BUSY
from jobs.data.size import PAIRS_OF_A_PRODUCT, READ_EVENTS
from jobs.models.pairs import score_bytes
from jobs.spark.blocks import CAPACITY_SHARE, EVENT_ENTRIES, choose_order, choose_sample, most_entries
from jobs.tuning.fitting import NEIGHBOURS
from shared.clients.spark_batches import EXECUTOR_CORES, EXECUTOR_HEAP_GIB, EXECUTOR_OVERHEAD_GIB
from shared.manifest import manifest
from shared.settings import Settings

# The share of a machine's memory that is planned for: that of a night varies. SPARK_FROM_PAIRS leaves as much.
MEMORY_SHARE: Final = 0.75
SPARK_FROM_PAIRS: Final = int(Settings.model_fields["spark_from_pairs"].default)
# Larger sizes of the job: GiB and their processors, up to the largest of Cloud Run, https://cloud.google.com/run/quotas.
LARGER_JOBS: Final = ((16, 4), (32, 8))
# A vCPU is 0.6 DCU, and a GiB 0.1: https://cloud.google.com/dataproc-serverless/pricing.
EXECUTOR_DCU: Final = 0.6 * EXECUTOR_CORES + 0.1 * (EXECUTOR_HEAP_GIB + EXECUTOR_OVERHEAD_GIB)
# The driver and two executors for the ten minutes in which they start and end.
STARTING_DCU_HOURS: Final = 3 * EXECUTOR_DCU / 6


def plan_training(plan: Plan, rates: Mapping[str, Line], costs: Costs) -> None:
    """Plan the nightly training: on one machine, on Spark, or on Spark with a sample of the users."""
    sizes = costs.sizes
    rate = rates["event_applied"].result / plan.demand.peak_ratio
    events = _events(rate, TRAINING_DAYS)
    pairs = Line(
        "pairs of users and products",
        (Term("", events.result, "events"), Term("×", sizes["pairs_per_event"], "pairs of an event")),
        "pairs",
    )
    of_pairs = Line(
        "memory of pairs",
        (
            Term("", pairs.result, "pairs"),
            Term("×", sizes["pair_bytes"], "bytes"),
            Term("÷", GIB, "bytes of a GiB"),
        ),
        "GiB",
    )
    of_products = Line(
        "memory of products",
        (
            Term("", plan.demand.products, "products"),
            Term("×", score_bytes(0, 1, NEIGHBOURS, workers=1), "bytes"),
            Term("×", manifest().entries["similarity"].cpu, "processors"),
            Term("÷", GIB, "bytes of a GiB"),
        ),
        "GiB",
    )
    memory = total("training memory of the job similarity", [of_pairs, of_products], "GiB")
    size = Line(
        "pairs, and products as so many pairs as take their memory",
        (
            Term("", plan.demand.products, "products"),
            Term("×", PAIRS_OF_A_PRODUCT, "pairs"),
            Term("+", pairs.result, "pairs"),
        ),
        "pairs",
    )
    plan.pairs, plan.training_gib = pairs.result, memory.result
    plan.sections["Training"] = [events, pairs, of_pairs, of_products, memory, size]
    plan.on_spark = size.result >= SPARK_FROM_PAIRS
    plan.larger_job_gib = next(
        (
            gib
            for gib, cpus in LARGER_JOBS
            if of_pairs.result + score_bytes(0, plan.demand.products, NEIGHBOURS, workers=cpus) / GIB
            <= MEMORY_SHARE * gib
        ),
        None,
    )
    if plan.on_spark:
        plan.training_days = min(TRAINING_DAYS, max(1, int(READ_EVENTS / (rate * DAY_S))))
    read = events if plan.training_days == TRAINING_DAYS else _events(rate, plan.training_days)
    plan.sample = choose_sample(read.result, plan.demand.products, NEIGHBOURS)
    if plan.on_spark:
        plan.sections["Training"] += ([] if read is events else [read]) + _batch(plan, read, costs)
    capacity = CAPACITY_SHARE * most_entries(plan.demand.products, NEIGHBOURS)
    plan.training_limits = [
        Limit("pairs and products of the job similarity", size.result, SPARK_FROM_PAIRS, "pairs", "Spark trains"),
        Limit(
            "events of a batch on Spark",
            read.result,
            capacity / EVENT_ENTRIES,
            "events",
            "a sample of users is trained",
        ),
        Limit("events that the job reads", events.result, READ_EVENTS, "events", "fewer days are read"),
    ]


def _events(rate: float, days: int) -> Line:
    return Line(
        f"events of {days} days", (Term("", rate, "events/s on average"), Term("×", days * DAY_S, "s")), "events"
    )


def _batch(plan: Plan, events: Line, costs: Costs) -> list[Line]:
    """Plan the batch of a night; return the lines."""
    entries = Line(
        "entries, if the model needs the order of events",
        (Term("", events.result, "events"), Term("×", EVENT_ENTRIES, "entries of an event, at most")),
        "entries",
    )
    trained = Line(
        "entries that a batch trains",
        (Term("", entries.result, "entries"), Term("÷", plan.sample, "for one user in so many")),
        "entries",
    )
    order = choose_order(0, int(trained.result), plan.demand.products, NEIGHBOURS)
    sent = Line(
        f"entries sent to {amount(order**2 + order if order > 1 else 1)} tasks",
        (Term("", trained.result, "entries"), Term("×", order + 1, "tasks of each")),
        "entries",
    )
    hours = Line(
        "work of a batch",
        (
            Term("", sent.result, "entries"),
            Term("×", costs.sizes["spark_entry_us"], "µs"),
            Term("÷", 3.6e9, "µs of an hour"),
        ),
        "vCPU-hours",
    )
    units = Line(
        "DCU-hours of a batch",
        (
            Term("", hours.result, "vCPU-hours"),
            Term("÷", BUSY, "busy"),
            Term("×", EXECUTOR_DCU / EXECUTOR_CORES, "DCU of a vCPU"),
            Term("+", STARTING_DCU_HOURS, "to start"),
        ),
        "DCU-hours",
    )
    plan.spark_dcu_hours = units.result
    return [entries, trained, sent, hours, units]


def spark_cost(plan: Plan) -> float:
    """Return the cost of a month of nightly batches, in USD; 0 if one machine trains."""
    return plan.spark_dcu_hours * cost.listed().spark_dcu_hour * cost.HOURS / 24


def describe_training(plan: Plan) -> str:
    """Return what trains the model, on which events, for people."""
    if not plan.on_spark:
        return "the job similarity"
    if plan.larger_job_gib is not None:
        return f"Spark, or the job similarity with {plan.larger_job_gib} GiB"
    days = "" if plan.training_days == TRAINING_DAYS else f"{plan.training_days} days of "
    users = "all users" if plan.sample == 1 else f"one user in {plan.sample}"
    return "Spark" if plan.sample == 1 and not days else f"Spark, {days}{users}"
