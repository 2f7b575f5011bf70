"""The monthly cost of a deployment by component: writes docs/cost.md.

    python3 -m delivery.cost            write docs/cost.md
    python3 -m delivery.cost --check    fail if docs/cost.md is out of date

Prices are list prices in USD for europe-west1 without discounts, entered by hand on PRICES_OF and not compared with a
bill. Before relying on them, look at https://cloud.google.com/pricing, change the numbers here, and run this again. A
month has 730 hours.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shared.manifest import manifest

FILE: Final = Path(__file__).parent.parent / "docs/cost.md"
PRICES_OF: Final = "2026-11-21"
HOURS: Final = 730.0


@dataclass(frozen=True)
class Prices:
    """USD, per the unit in the name."""

    cpu_s: float = 0.000024
    memory_gib_s: float = 0.0000025
    idle_cpu_s: float = 0.0000025
    invocation_million: float = 0.40
    free_cpu_s: float = 180_000
    free_memory_gib_s: float = 360_000
    free_invocations: float = 2_000_000
    sql_micro_month: float = 9.37
    sql_cpu_hour: float = 0.0413
    sql_memory_gib_hour: float = 0.0070
    sql_ssd_gib_month: float = 0.17
    sql_backup_gib_month: float = 0.08
    redis_basic_gib_hour: float = 0.049
    redis_standard_gib_hour: float = 0.054
    connector_micro_hour: float = 0.0076
    pubsub_tib: float = 40.0
    free_pubsub_gib: float = 10.0
    scheduler_job_month: float = 0.10
    free_scheduler_jobs: int = 3
    secret_version_month: float = 0.06
    free_secret_versions: int = 6
    storage_gib_month: float = 0.020
    registry_gib_month: float = 0.10
    free_registry_gib: float = 0.5
    egress_gib: float = 0.12
    log_gib: float = 0.50
    free_log_gib: float = 50.0
    uptime_million: float = 0.30
    free_uptime: float = 1_000_000
    alert_condition_month: float = 0.10
    balancer_hour: float = 0.025
    balancer_gib: float = 0.008
    cdn_gib: float = 0.08
    armor_policy_month: float = 5.0
    armor_rule_month: float = 1.0
    armor_million: float = 0.75
    bigquery_gib_month: float = 0.02
    bigquery_ingest_tib: float = 50.0


@dataclass(frozen=True)
class Size:
    """The resources that terraform/ creates for a profile of terraform/envs/."""

    name: str
    sql: Callable[[Prices], float]
    redis: Callable[[Prices], float]
    connector: Callable[[Prices], float]
    warm_instances: int
    balancer: bool
    bigquery: bool
    monitoring: bool


@dataclass(frozen=True)
class Load:
    """A month's requests and their average properties."""

    name: str
    requests: float
    # per request: seconds, requests that an instance serves at once, KiB of answer, share answered by the CDN
    seconds: float = 0.03
    concurrency: float = 10.0
    answer_kib: float = 6.0
    cached: float = 0.4
    # events per request, and KiB per event with its attributes
    events: float = 0.4
    event_kib: float = 0.6
    handler_seconds: float = 0.05


def machine(prices: Prices, cpus: float, gib: float, disk: float, *, zones: int) -> float:
    """Return the monthly cost of a Cloud SQL instance with its disk and backups of about the same size."""
    hourly = cpus * prices.sql_cpu_hour + gib * prices.sql_memory_gib_hour
    return zones * (hourly * HOURS + disk * prices.sql_ssd_gib_month) + disk * prices.sql_backup_gib_month


def micro(prices: Prices) -> float:
    """Return the monthly cost of the smallest Cloud SQL instance."""
    return prices.sql_micro_month + 10 * (prices.sql_ssd_gib_month + prices.sql_backup_gib_month)


SIZES: Final = (
    Size("smallest", micro, lambda _: 0.0, lambda _: 0.0, 0, False, False, False),
    Size(
        "dev",
        micro,
        lambda p: p.redis_basic_gib_hour * HOURS,
        lambda p: 2 * p.connector_micro_hour * HOURS,
        0,
        False,
        False,
        True,
    ),
    Size(
        "prod",
        lambda p: machine(p, 2, 7.5, 50, zones=2),
        lambda p: 5 * p.redis_standard_gib_hour * HOURS,
        lambda p: 2 * p.connector_micro_hour * HOURS,
        1,
        True,
        True,
        True,
    ),
)
LOADS: Final = (Load("idle", 0), Load("100 k", 100_000), Load("10 M", 10_000_000))
PUBLIC: Final = tuple(entry for entry in manifest().of_kind("http") if entry.public)
JOBS: Final = tuple(entry for entry in manifest().of_kind("job") if entry.schedule)
# seconds per run, measured on the shop in this repository; heavy jobs grow with the shop
JOB_SECONDS: Final = 1.0
HEAVY_JOB_SECONDS: Final = 120.0
# heavy jobs that find nothing to do in most of their runs: import_feeds without a feed that is due
IDLE_RUNS: Final = ("import_feeds",)


def runs_per_month(schedule: str) -> float:
    """Return how often a cron expression of the forms in functions.yaml is due in 30 days."""
    minute, hour, day, _month, weekday = schedule.split()
    per_hour = 60.0 if minute == "*" else 60 / int(minute[2:]) if minute.startswith("*/") else 1.0
    hours = 24.0 if hour == "*" else 24 / int(hour[2:]) if hour.startswith("*/") else 1.0
    days = 1.0 if day != "*" else 30 / 7 if weekday != "*" else 30.0
    return per_hour * hours * days


def functions(prices: Prices, size: Size, load: Load) -> float:
    """Return the monthly cost of running functions, after the free tier."""
    served = load.requests * (1 - load.cached if size.balancer else 1.0)
    seconds = served * load.seconds / load.concurrency
    cpu_s, gib_s, calls = seconds, seconds * 0.5, served
    events = load.requests * load.events
    # each event is one message for every event function
    handlers = len(manifest().of_kind("event"))
    cpu_s += events * handlers * load.handler_seconds
    gib_s += events * handlers * load.handler_seconds * 0.5
    calls += events * handlers
    for job in JOBS:
        runs = runs_per_month(job.schedule or "")
        run_s = HEAVY_JOB_SECONDS if job.heavy and job.name not in IDLE_RUNS else JOB_SECONDS
        cpu_s += runs * run_s * job.cpu
        gib_s += runs * run_s * job.memory / 1024
        calls += runs
    paid = (
        max(0, cpu_s - prices.free_cpu_s) * prices.cpu_s
        + max(0, gib_s - prices.free_memory_gib_s) * prices.memory_gib_s
    )
    paid += max(0, calls - prices.free_invocations) / 1e6 * prices.invocation_million
    idle_s = size.warm_instances * len(PUBLIC) * HOURS * 3600
    return paid + idle_s * (prices.idle_cpu_s + 0.5 * prices.memory_gib_s)


def components(prices: Prices, size: Size, load: Load) -> dict[str, float]:
    """Return the monthly cost of each component in USD."""
    event_gib = load.requests * load.events * load.event_kib / 2**20
    answers_gib = load.requests * load.answer_kib / 2**20
    # published once, delivered to each event function, and to BigQuery if that is on
    pubsub_gib = event_gib * (1 + len(manifest().of_kind("event")) + size.bigquery)
    log_gib = load.requests * 1.5 / 2**20
    secrets = len({secret for entry in manifest().entries.values() for secret in entry.secrets}) + 1
    checks = len(PUBLIC) * 6 * 12 * HOURS  # from six locations, every five minutes
    conditions = 7 + len(PUBLIC) * 9
    costs = {
        "Cloud SQL": size.sql(prices),
        "Memorystore": size.redis(prices),
        "VPC connector": size.connector(prices),
        "Functions": functions(prices, size, load),
        "Pub/Sub": max(0, pubsub_gib - prices.free_pubsub_gib) / 1024 * prices.pubsub_tib,
        "Cloud Scheduler": max(0, len(JOBS) - prices.free_scheduler_jobs) * prices.scheduler_job_month,
        "Secrets": max(0, secrets - prices.free_secret_versions) * prices.secret_version_month,
        # about 0.2 GiB per image; three images of each function are kept
        "Images, archives": max(0, len(manifest().entries) * 0.2 * 3 - prices.free_registry_gib)
        * prices.registry_gib_month,
        "Logs": max(0, log_gib - prices.free_log_gib) * prices.log_gib,
        "Monitoring": 0.0,
        "Load balancer, CDN, Cloud Armor": 0.0,
        "BigQuery": 0.0,
        "Traffic to shoppers": 0.0 if size.balancer else answers_gib * prices.egress_gib,
    }
    if size.monitoring:
        costs["Monitoring"] = max(0, checks - prices.free_uptime) / 1e6 * prices.uptime_million
        costs["Monitoring"] += conditions * prices.alert_condition_month
    if size.balancer:
        costs["Load balancer, CDN, Cloud Armor"] = (
            2 * prices.balancer_hour * HOURS
            + answers_gib * (prices.balancer_gib + prices.cdn_gib)
            + prices.armor_policy_month
            + 10 * prices.armor_rule_month
            + load.requests / 1e6 * prices.armor_million
        )
    if size.bigquery:
        costs["BigQuery"] = event_gib * 13 * prices.bigquery_gib_month + event_gib / 1024 * prices.bigquery_ingest_tib
    return costs


def table(prices: Prices) -> str:
    """Return the table in Markdown: a row per component, a column per size and load."""
    columns = [(size, load) for size in SIZES for load in LOADS]
    costs = [components(prices, size, load) for size, load in columns]
    lines = [
        "| USD a month | " + " | ".join(f"{size.name}, {load.name}" for size, load in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    lines += [f"| {name} | " + " | ".join(f"{cost[name]:,.2f}" for cost in costs) + " |" for name in costs[0]]
    lines.append("| **total** | " + " | ".join(f"**{sum(cost.values()):,.0f}**" for cost in costs) + " |")
    return "\n".join(lines)


def page(prices: Prices) -> str:
    """Return the text of docs/cost.md."""
    load = replace(LOADS[-1])
    return f"""# Monthly cost

Written by `python3 -m delivery.cost` from the prices in `delivery/cost.py` (list prices in USD, europe-west1, entered by
hand on {PRICES_OF}, without discounts or credits) and from `functions.yaml`. It is an estimate, not a bill, and was not
measured on a deployment. Look the prices up, compare the estimate with the first bill, and set `billing_account` to get
warnings from a budget.

{table(prices)}

The sizes are those of `terraform/envs/`; the loads are requests per month. A request takes {load.seconds * 1000:.0f} ms of an instance that
serves {load.concurrency:.0f} at a time, has an answer of {load.answer_kib:.0f} KiB, and brings {load.events} events of {load.event_kib} KiB. With a CDN, {load.cached:.0%} of the requests
are answered there. Jobs run as scheduled and take {JOB_SECONDS:.0f} s each, heavy jobs {HEAVY_JOB_SECONDS:.0f} s;
`import_feeds` takes {JOB_SECONDS:.0f} s while no feed is due.

## The cost of an idle shop

Functions, Pub/Sub, Cloud Scheduler and storage cost almost nothing when idle. These components cost the same at any load;
each can be switched off:

| component | switch | what you give up |
|---|---|---|
| Memorystore | `redis = {{ tier = "NONE" }}` | the cache: every answer is computed, rate limits count per instance; `/health` says degraded |
| VPC connector | `vpc_egress = "direct"` | nothing; each running instance takes an address of the subnet |
| Cloud SQL, second zone | `database = {{ high_availability = false }}` | a zone's outage lasts until it ends, or until a restore |
| warm instances | `warm_instances = 0` | the first shopper after a pause waits for a cold start |
| load balancer, CDN, Cloud Armor | `domain` unset, or `cdn`, `armor` = false | a domain, caching at the edge, limits and rules in front |
| monitoring | `monitoring = false` | uptime checks, objectives, alerts, the dashboard |
| BigQuery | `bigquery = false` | raw events beyond what Postgres keeps |

`envs/smallest.tfvars` switches all of them off. The database remains: a shop cannot run without it.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python3 -m delivery.cost")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if docs/cost.md is out of date")
    chosen = parser.parse_args(arguments)
    text = page(Prices())
    if not chosen.check:
        FILE.write_text(text)
        print(f"wrote {FILE}")
        return 0
    if not FILE.exists() or FILE.read_text() != text:
        print("docs/cost.md is out of date. Run: python3 -m delivery.cost", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
