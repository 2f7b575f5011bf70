"""The monthly cost of a deployment by component: writes docs/cost.md.

    python3 -m delivery.cost            write docs/cost.md
    python3 -m delivery.cost --check    fail if docs/cost.md is out of date

Prices are list prices without discounts: delivery/prices.json says where each comes from and when it was last compared.
Before relying on them, look at the sources, change the numbers there, and run this again. A month has 730 hours.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from shared.manifest import manifest

FILE: Final = Path(__file__).parent.parent / "docs/cost.md"
LIST: Final = json.loads((Path(__file__).parent / "prices.json").read_text())
HOURS: Final = 730.0


@dataclass(frozen=True)
class Prices:
    """USD, per the unit in the name; ``free_…`` is a month's free quantity. Read from delivery/prices.json."""

    cpu_s: float
    memory_gib_s: float
    idle_cpu_s: float
    invocation_million: float
    free_cpu_s: float
    free_memory_gib_s: float
    free_invocations: float
    sql_micro_month: float
    sql_cpu_hour: float
    sql_memory_gib_hour: float
    sql_ssd_gib_month: float
    sql_backup_gib_month: float
    redis_basic_gib_hour: float
    redis_standard_gib_hour: float
    connector_f1_micro_hour: float
    connector_e2_micro_hour: float
    pubsub_tib: float
    free_pubsub_gib: float
    scheduler_job_month: float
    free_scheduler_jobs: float
    secret_version_month: float
    free_secret_versions: float
    storage_gib_month: float
    registry_gib_month: float
    free_registry_gib: float
    egress_gib: float
    log_gib: float
    free_log_gib: float
    uptime_million: float
    free_uptime: float
    alert_condition_month: float
    alert_series_million: float
    forwarding_rules_hour: float
    balancer_gib: float
    cdn_gib: float
    armor_policy_month: float
    armor_rule_month: float
    armor_million: float
    bigquery_gib_month: float
    bigquery_ingest_tib: float
    spark_dcu_hour: float
    build_minute: float
    free_build_minutes: float
    build_highcpu8_minute: float

    def without_free_tier(self) -> "Prices":
        """Return the prices of a billing account whose free quantities other projects use up."""
        return replace(self, **{field.name: 0.0 for field in fields(self) if field.name.startswith("free_")})


def listed() -> Prices:
    """Return the prices of delivery/prices.json."""
    return Prices(**{name: float(price["value"]) for name, price in LIST["prices"].items()})


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
    # whether Cloud Build delivers and plans (var.repository)
    pipeline: bool


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
    Size("smallest", micro, lambda _: 0.0, lambda _: 0.0, 0, False, False, False, False),
    Size(
        "dev",
        micro,
        lambda p: p.redis_basic_gib_hour * HOURS,
        lambda p: 2 * p.connector_f1_micro_hour * HOURS,
        0,
        False,
        False,
        True,
        False,
    ),
    Size(
        "prod",
        lambda p: machine(p, 2, 7.5, 50, zones=2),
        lambda p: 5 * p.redis_standard_gib_hour * HOURS,
        lambda p: 2 * p.connector_e2_micro_hour * HOURS,
        1,
        True,
        True,
        True,
        True,
    ),
)
LOADS: Final = (Load("idle", 0), Load("100 k", 100_000), Load("10 M", 10_000_000))
PUBLIC: Final = len(manifest().public_functions)
# deployed where there is no load balancer
EDGES: Final = len(manifest().of_kind("edge"))
JOBS: Final = tuple(entry for entry in manifest().of_kind("job") if entry.schedule)
# seconds per run, measured on the shop in this repository; heavy jobs grow with the shop
JOB_SECONDS: Final = 1.0
HEAVY_JOB_SECONDS: Final = 120.0
# a condition is evaluated every 30 s, and returns a series for each service that it watches
EVALUATIONS: Final = HOURS * 120
SERIES: Final = 1.5
# deliveries and pull requests a month; minutes of a build of the pipeline, and of a function
DELIVERIES: Final = 8
PIPELINE_MINUTES: Final = 10.0
FUNCTION_MINUTES: Final = 2.0
# flow logs: KiB a request, of which a tenth is sampled
FLOW_KIB: Final = 0.3 * 0.1
# heavy jobs that find nothing to do in most of their runs: without an open batch of Spark, without a feed that is due
IDLE_RUNS: Final = ("finish_training", "import_feeds")


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
    idle_s = size.warm_instances * (PUBLIC if size.balancer else EDGES) * HOURS * 3600
    return paid + idle_s * (prices.idle_cpu_s + 0.5 * prices.memory_gib_s)


def components(prices: Prices, size: Size, load: Load) -> dict[str, float]:
    """Return the monthly cost of each component in USD."""
    event_gib = load.requests * load.events * load.event_kib / 2**20
    answers_gib = load.requests * load.answer_kib / 2**20
    # published once, delivered to each event function, and to BigQuery if that is on
    pubsub_gib = event_gib * (1 + len(manifest().of_kind("event")) + size.bigquery)
    log_gib = load.requests * (1.5 + (FLOW_KIB if size.connector(prices) else 0)) / 2**20
    secrets = len({secret for entry in manifest().entries.values() for secret in entry.secrets}) + 1
    edges = 0 if size.balancer else EDGES
    deployed = len(manifest().entries) - EDGES + edges
    checks = (PUBLIC + edges) * 6 * 12 * HOURS  # from six locations, every five minutes
    # on single metrics, and for each public function: uptime, instances, and two windows of four burn rates
    conditions = 10 + (PUBLIC + edges) * (1 + 1 + 2 * 4)
    build_minutes = DELIVERIES * deployed * FUNCTION_MINUTES
    costs = {
        "Cloud SQL": size.sql(prices),
        "Memorystore": size.redis(prices),
        "VPC connector": size.connector(prices),
        "Functions": functions(prices, size, load),
        "Pub/Sub": max(0, pubsub_gib - prices.free_pubsub_gib) / 1024 * prices.pubsub_tib,
        "Cloud Scheduler": max(0, len(JOBS) - prices.free_scheduler_jobs) * prices.scheduler_job_month,
        "Secrets": max(0, secrets - prices.free_secret_versions) * prices.secret_version_month,
        # about 0.2 GiB per image; three images of each function are kept
        "Images, archives": max(0, deployed * 0.2 * 3 - prices.free_registry_gib) * prices.registry_gib_month,
        "Logs": max(0, log_gib - prices.free_log_gib) * prices.log_gib,
        "Builds": max(0, build_minutes - prices.free_build_minutes) * prices.build_minute
        + size.pipeline * 2 * DELIVERIES * PIPELINE_MINUTES * prices.build_highcpu8_minute,
        "Monitoring": 0.0,
        "Load balancer, CDN, Cloud Armor": 0.0,
        "BigQuery": 0.0,
        "Traffic to shoppers": 0.0 if size.balancer else answers_gib * prices.egress_gib,
    }
    if size.monitoring:
        costs["Monitoring"] = max(0, checks - prices.free_uptime) / 1e6 * prices.uptime_million
        costs["Monitoring"] += conditions * prices.alert_condition_month
        costs["Monitoring"] += conditions * EVALUATIONS * SERIES / 1e6 * prices.alert_series_million
    if size.balancer:
        costs["Load balancer, CDN, Cloud Armor"] = (
            # one price for up to five rules: HTTPS, and HTTP that redirects to it
            prices.forwarding_rules_hour * HOURS
            + answers_gib * (prices.balancer_gib + prices.cdn_gib)
            + prices.armor_policy_month
            + 10 * prices.armor_rule_month
            + load.requests / 1e6 * prices.armor_million
        )
    if size.bigquery:
        costs["BigQuery"] = event_gib * 13 * prices.bigquery_gib_month + event_gib / 1024 * prices.bigquery_ingest_tib
    return costs


def floor(prices: Prices) -> float:
    """Return what an idle shop with a database, a cache and a connector costs at least: dev without monitoring."""
    costs = components(prices, replace(SIZES[1], monitoring=False), LOADS[0])
    return sum(costs[name] for name in ("Cloud SQL", "Memorystore", "VPC connector"))


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
    paid = [components(prices.without_free_tier(), size, load) for size, load in columns]
    lines.append("| total without free tier | " + " | ".join(f"{sum(cost.values()):,.0f}" for cost in paid) + " |")
    return "\n".join(lines)


def page(prices: Prices) -> str:
    """Return the text of docs/cost.md."""
    load = replace(LOADS[-1])
    never = sum(price["checked"] is None for price in LIST["prices"].values())
    return f"""# Monthly cost

Written by `python3 -m delivery.cost` from `functions.yaml` and the list prices in `delivery/prices.json`: {LIST["currency"]},
{LIST["region"]}, entered by hand on {LIST["entered"]}, without discounts or credits. Each price names its source; {never} of {len(LIST["prices"])} have
never been compared with it. This is an estimate, not a bill, and was not measured on a deployment. Look the prices up,
compare the estimate with your first bill, and set `billing_account` to get budget alerts.

The free tier applies once per billing account, not per project. The last row is for an account whose free tier other
projects use up.

{table(prices)}

The sizes are the profiles of `terraform/envs/`; the loads are requests per month. A request takes {load.seconds * 1000:.0f} ms of an instance
that serves {load.concurrency:.0f} at a time, returns {load.answer_kib:.0f} KiB, and brings {load.events} events of {load.event_kib} KiB each. With a CDN, {load.cached:.0%} of requests
are served from its cache. Jobs run as scheduled and take {JOB_SECONDS:.0f} s each, heavy jobs {HEAVY_JOB_SECONDS:.0f} s; `import_feeds` and
`finish_training` take {JOB_SECONDS:.0f} s when there is nothing to do. A month has {DELIVERIES} deliveries, each after a pull request, and each
builds every function; only `prod` has the pipeline of `repository`.

## The cost of an idle shop

Functions, Pub/Sub, Cloud Scheduler and storage cost almost nothing when idle. A database, a cache and a connector cost
about ${floor(prices):.0f} a month: that is `dev` with `monitoring = false`. `smallest` costs less, because it has no cache and reaches
the database without a connector. Most of these components cost the same at any load; each can be switched off:

| component | switch | what you give up |
|---|---|---|
| Memorystore | `redis = {{ tier = "NONE" }}` | the cache: every response is computed, rate limits apply per instance, and `/health` reports degraded |
| VPC connector | `vpc_egress = "direct"` | fast first connections: a new instance may wait up to a minute; each takes two to four addresses of the subnet |
| Cloud SQL, second zone | `database = {{ high_availability = false }}` | failover: a zonal outage lasts until the zone recovers, or until you restore a backup |
| warm instances | `warm_instances = 0` | warm starts: the first shopper after a pause waits for a cold start |
| load balancer, CDN, Cloud Armor | `domain` unset (the function `edge` is the single address), or `cdn`, `armor` = false | a domain, a CDN cache, rate limits and rules in front of the functions, a service account per function |
| monitoring | `monitoring = false` | uptime checks, service-level objectives, alerts, the dashboard |
| BigQuery | `bigquery = false` | raw events beyond what Postgres keeps |
| Spark | `similarity_engine = "local"` | training beyond the memory of one machine |

`envs/smallest.tfvars` switches all of them off. Only the database remains: a shop cannot run without it.

Spark is off in every column: it is for shops that one machine cannot train ([models.md](models.md#beyond-one-machine)).
A batch costs about ${prices.spark_dcu_hour:.3f} per DCU-hour. `./aisle simulate` computes the price for a load ([capacity.md](capacity.md)). The image and two nights of events in the bucket cost cents.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python3 -m delivery.cost")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if docs/cost.md is out of date")
    chosen = parser.parse_args(arguments)
    text = page(listed())
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
