"""A capacity plan as text, as JSON, as variables of Terraform, and as docs/capacity.md.

python -m delivery.plan_texts            write docs/capacity.md and the profiles of terraform/envs/
python -m delivery.plan_texts --check    fail if one of them is out of date
"""

import argparse
import math
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from delivery.arithmetic import amount
from delivery.capacity import plan_for
from delivery.capacity_plan import (
    REDIS_THREAD,
    SQL_CONNECTIONS,
    SQL_MEMORY,
    SQL_PROCESSORS,
    TRAINING_DAYS,
    Limit,
    Plan,
    read_limits,
)
from delivery.demand import MOST_REQUESTS, PROFILES, Demand
from delivery.service_sizing import DISK_GROWTH, SQL_DISK_MIN
from delivery.training_sizing import describe_training

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "capacity.md"
ENVS: Final = ROOT / "terraform" / "envs"


TABLE_HEAD: Final = (
    "| requests/s | products | users | instances | Cloud SQL | connections | network | Redis | trained by "
    "| USD a month | breaks first |\n|---:|---:|---:|---:|---|---:|---|---|---|---:|---|"
)
INTRODUCTION: Final = """# Capacity

Written by `python -m delivery.plan_texts`. `./aisle simulate` plans a deployment for a given load on paper, before
anything is deployed; `./aisle simulate --help` lists its options. The three plans below are also Terraform profiles:
start with the one above your load, and set the variables that its first lines name.

A plan combines the measured costs of operations (`delivery/costs.json`; `python -m benchmarks.capacity` measures them
again and rewrites the file), the sizes in `functions.yaml`, Google Cloud's limits and quotas (`delivery/limits.json`)
and prices (`delivery/prices.json`, as in [cost.md](cost.md)). No plan has been compared with a deployment: compare
yours with the dashboard after a busy day.
"""
EXPLANATION: Final = """
## How to read a plan

- **requests/s** is the peak rate of requests that functions serve, including events. Requests that a CDN serves do not
  count. The mix is that of `./aisle stress`. The month's mean is a third of the peak (`--peak-ratio`); rows, messages
  and cost follow the mean.
- **Costs of operations** are CPU time on one kind of machine. A slower vCPU needs more time.
- **60% utilization** is the planned maximum for an instance, a connection, the database, the connector and the thread
  of Redis. At that utilization, a request takes two and a half times its service time.
- **Redis costs** were measured with a replica and under load. An idle Redis takes several times as long for each
  command, because it has to be woken. The share of TLS was measured on a server that uses TLS. The plan assumes that
  every request writes its commands separately; a busy instance combines the commands of several requests. The alert
  `redis-cpu` fires when the thread is busier than planned.
- **Connections** are those of all instances that may run, counted twice for functions, because a release starts new
  instances before the old ones have stopped. Terraform rejects a plan that exceeds `max_connections`, or the addresses
  or throughput of the network. The profiles assume that all traffic arrives through the load balancer. While a domain
  takes over (`public_access = "iam"`), the function `edge` runs too: raise `max_connections` by 80 for that step.
- **A search** costs more in a larger catalog, by the factor that `./aisle bench growth` measured for ten times the
  products. The factor is that of the 95th percentile, which is more than most searches need. All other operations cost
  what they cost with 10,000 products.
- **Training** needs memory for each user-product pair and each product. The plan leaves a quarter of a machine's memory
  free. Beyond that, Spark trains; if the events exceed what the tasks of a batch can hold, it trains on one user in
  *n*; if they exceed what the job can read, it reads fewer days ([models](models.md#beyond-one-machine)). Requests are
  served as before. The work of a batch is that of the costliest single model, one that needs the order of events; a
  mixture costs the sum of its models.
- **Limits.** If a plan exceeds limits, each is named with its remedy. With `--tfvars`, every variable then has
  its largest allowed value, so that Terraform deploys less than the load needs or refuses what does not fit, and the
  exit code is 1.
"""


def terraform_values(plan: Plan) -> str:
    """Return the plan as a file of Terraform's variables."""
    demand = plan.demand
    width = max(map(len, plan.max_instances))
    allowed = {name: int(value) for name, value in read_limits().items()}
    disk = max(SQL_DISK_MIN, math.ceil(min(plan.disk_gib, allowed["sql_disk_gib"]) / DISK_GROWTH))
    redis_gib = min(plan.redis_gib, allowed["redis_gib"])
    lines = [
        f"# {amount(demand.requests_per_s)} requests/s at the peak. Written by: {command(demand)} --tfvars",
        '# Set these too: domain, public_access = "load_balancer", cors_origins, alert_email, billing_account.',
        "# max_connections assumes traffic through the load balancer alone; the function edge would need 80 more.",
        *(f"# This plan exceeds a limit. {describe_limit(limit)}" for limit in plan.exceeded),
        'environment    = "prod"',
        "bigquery       = true",
        "warm_instances = 1",
        f'vpc_egress     = "{plan.egress}"',
        "",
        "database = {",
        f'  tier            = "{plan.sql_tier}"',
        f"  disk_gb         = {disk} # grows automatically, to at most {DISK_GROWTH} times this size",
        f"  max_connections = {min(plan.max_connections, allowed['sql_connections'])}",
        "}",
        "",
        f'redis = {{ tier = "STANDARD_HA", memory_gb = {redis_gib} }}',
        "",
        "function_instances = {",
        *(
            f"  {name.ljust(width)} = {min(count, allowed['instances_of_function'])}"
            for name, count in plan.max_instances.items()
        ),
        "}",
    ]
    if plan.on_spark:
        lines += [
            "",
            "# the job alone cannot train this many pairs and products: docs/runbooks/spark.md",
            'similarity_engine = "auto"',
        ]
    if plan.egress == "connector":
        lines += [
            "",
            "# peak throughput to PostgreSQL and Redis, in Mbit/s",
            f"network_mbps = {math.ceil(plan.network_mbps)}",
        ]
    return "\n".join(lines) + "\n"


def command(demand: Demand) -> str:
    """Return the command that prints the plan of a demand."""
    options = [
        f"--{option.name.replace('_', '-')} {getattr(demand, option.name):.12g}"
        for option in fields(demand)
        if getattr(demand, option.name) != option.default
    ]
    return " ".join(["./aisle simulate", *options])


def as_json(plan: Plan) -> dict[str, Any]:
    """Return the plan for programs."""
    return {
        "demand": {option.name: getattr(plan.demand, option.name) for option in fields(plan.demand)}
        | {"events_per_s": plan.demand.events},
        "instances": plan.instances,
        "max_instances": plan.max_instances,
        "connections": plan.connections,
        "max_connections": plan.max_connections,
        "sql_tier": plan.sql_tier,
        "disk_gib": plan.disk_gib,
        "egress": plan.egress,
        "connector_instances": plan.connector_instances,
        "network_mbps": plan.network_mbps,
        "redis_gib": plan.redis_gib,
        "redis_busy": plan.redis_busy,
        "pairs": plan.pairs,
        "training_gib": plan.training_gib,
        "trained_by": describe_training(plan),
        "trained_on_users": f"1 in {plan.sample}",
        "training_days": plan.training_days,
        "spark_dcu_hours": plan.spark_dcu_hours,
        "training_limits": [asdict(limit) for limit in plan.training_limits],
        "monthly_usd": plan.monthly,
        "total_usd": sum(plan.monthly.values()),
        "limits": [asdict(limit) for limit in plan.limits],
        "breaks_first": plan.limits[0].name,
        "reaches_requests_per_s": plan.limits[0].reached_at,
        "arithmetic": {name: [line.as_json() for line in lines] for name, lines in plan.sections.items()},
    }


def text(plan: Plan) -> str:
    """Return the plan as text: what it needs, the cost, what breaks first, and then the arithmetic."""
    demand = plan.demand
    network = f"connector, {plan.connector_instances} instances" if plan.egress == "connector" else "Direct VPC egress"
    lines = [
        f"{amount(demand.requests_per_s)} requests/s at the peak, {amount(demand.products)} products, "
        f"{amount(demand.users)} users, {amount(demand.events)} events/s, {demand.cached_share:.0%} answered by Redis",
        "",
        "Needed",
        *(
            f"  {name}: {count} {'instance' if count == 1 else 'instances'} at the peak, "
            f"at most {plan.max_instances[name]}"
            for name, count in plan.instances.items()
        ),
        f"  PostgreSQL: {database_of(plan)}, {amount(plan.disk_gib)} GiB, {plan.connections} connections, "
        f"max_connections {plan.max_connections}",
        f"  Network: {network}, {amount(plan.network_mbps)} Mbit/s",
        f"  Redis: {plan.redis_gib} GiB, {plan.redis_busy:.0%} of its thread",
        f"  Training: {describe_training(plan)}; {amount(plan.pairs)} pairs in {TRAINING_DAYS} days",
        "",
        "Monthly cost, USD (docs/cost.md)",
        *(f"  {name}: {value:,.0f}" for name, value in plan.monthly.items() if value >= 0.5),
        f"  total: {sum(plan.monthly.values()):,.0f}",
        "",
        "Limits",
        *(f"  {describe_use(limit)}, reached {load_of(limit)}" for limit in plan.limits),
        *(f"  Beyond its limit: {describe_limit(limit)}" for limit in plan.exceeded),
        *([] if plan.exceeded else [f"  First to break: {describe_limit(plan.limits[0])}"]),
        "",
        "Limits of training, beyond which requests are served as before",
        *(f"  {describe_use(limit)}, reached {load_of(limit)}; then {limit.beyond}" for limit in plan.training_limits),
    ]
    for name, section in plan.sections.items():
        lines += ["", name, *(f"  {line}" for line in section)]
    return "\n".join(lines) + "\n"


def database_of(plan: Plan) -> str:
    """Return the tier of Cloud SQL, and what the plan needs if there is no tier that large."""
    if all(limit.name not in (SQL_PROCESSORS, SQL_MEMORY) for limit in plan.exceeded):
        return plan.sql_tier
    gib = amount(plan.sql_memory_mib / 1024)
    return f"{plan.sql_tier} (the largest; {amount(plan.sql_cpus)} vCPU and {gib} GiB of memory are needed)"


def describe_use(limit: Limit) -> str:
    """Return how much of a limit the plan uses."""
    return f"{limit.name}: {amount(limit.used)} of {amount(limit.limit)} {limit.unit}"


def describe_limit(limit: Limit) -> str:
    """Return at which load a limit is reached, and what to do beyond it."""
    return f"{limit.name}, {load_of(limit)}. Remedy: {limit.beyond}."


def load_of(limit: Limit) -> str:
    """Return at which load a limit is reached."""
    if limit.reached_at == 0:
        return "at any load"
    if limit.reached_at is None:
        return f"beyond {amount(MOST_REQUESTS)} requests/s"
    return f"at {amount(limit.reached_at)} requests/s"


def profile_file(demand: Demand) -> Path:
    """Return the file of Terraform's variables for a demand of PROFILES."""
    return ENVS / f"requests-{demand.requests_per_s:.12g}.tfvars"


def reach(plans: Sequence[Plan]) -> str:
    """Return up to which load the present design goes by the largest plan."""
    first = plans[-1].limits[0]
    reached = f"{first.name}, reached {load_of(first)}"
    if first.share <= 1:
        return f"The first limit of the largest plan is {reached}."
    return textwrap.fill(
        f"The largest plan exceeds a limit of the present design: {reached}. Its profile deploys what the other limits "
        f"allow; beyond that load, {first.beyond}.",
        116,
    )


def not_needed(plan: Plan) -> str:
    """Return which parts of larger systems a plan does without, and up to which load."""
    limits = {limit.name: limit for limit in plan.limits}

    def use(name: str) -> str:
        limit = limits[name]
        used = f"{amount(limit.used)} of {amount(limit.limit)} {limit.unit}"
        return f"The plan uses {used}; the limit is reached {load_of(limit)}."

    points = [
        f"**A connection pooler.** {use(SQL_CONNECTIONS)} The pools in `shared/clients/postgres_engine.py` open few "
        "connections per instance. Beyond that load, Managed Connection Pooling needs Cloud SQL Enterprise Plus, and "
        "transaction pooling does not preserve a session's `SET`, while each connection sets its role, timeouts and "
        "time zone.",
        f"**Read replicas.** {use(SQL_PROCESSORS)} Beyond that load, the reads of searches and recommendations would "
        "go to a separate address and have to tolerate replication lag.",
        f"**Memorystore for Valkey.** {use(REDIS_THREAD)} Valkey reads, writes and encrypts in more threads, and in "
        "cluster mode it runs on several servers. In a cluster, the two keys of the script that stores a response "
        "would have to share a hash tag ([decision 0083](decisions/0083-one-redis.md)).",
    ]
    listed = "\n".join(
        textwrap.fill(point, 116, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for point in points
    )
    load = f"{amount(plan.demand.requests_per_s)} requests/s"
    return f"\n## What no plan needs\n\nAt {load}, three parts of larger systems are still unnecessary:\n\n{listed}\n"


def page() -> str:
    """Return the text of docs/capacity.md."""
    plans = [plan_for(demand) for demand in PROFILES]
    rows = [
        f"| {amount(plan.demand.requests_per_s)} | {amount(plan.demand.products)} | {amount(plan.demand.users)} "
        f"| {sum(plan.instances.values())} | {plan.sql_tier}, {amount(plan.disk_gib)} GiB | {plan.connections} "
        f"| {plan.egress} | {plan.redis_gib} GiB | {describe_training(plan)} | {sum(plan.monthly.values()):,.0f} "
        f"| {plan.limits[0].name}, {load_of(plan.limits[0])} |"
        for plan in plans
    ]
    shown = "\n".join(
        f"## {amount(plan.demand.requests_per_s)} requests/s\n\n`{command(plan.demand)}`, for "
        f"`terraform/envs/{profile_file(plan.demand).name}`:\n\n```text\n{text(plan)}```\n"
        for plan in plans
    )
    table = "\n".join([TABLE_HEAD, *rows])
    return f"{INTRODUCTION}\n{table}\n\n{reach(plans)}\n{EXPLANATION}{not_needed(plans[-1])}\n{shown}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m delivery.plan_texts")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    chosen = parser.parse_args(arguments)
    texts = {PAGE: page()} | {profile_file(demand): terraform_values(plan_for(demand)) for demand in PROFILES}
    outdated = [file for file, content in texts.items() if not file.exists() or file.read_text() != content]
    if chosen.check:
        for file in outdated:
            print(f"{file} is out of date. Run: python -m delivery.plan_texts", file=sys.stderr)
        return 1 if outdated else 0
    for file in outdated:
        file.write_text(texts[file])
        print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
