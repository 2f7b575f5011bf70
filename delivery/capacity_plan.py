"""A capacity plan, the measured costs that it is computed from, and the limits of Google Cloud."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from delivery.arithmetic import Line
from delivery.demand import Demand
from shared.settings import Settings

COSTS_FILE: Final = Path(__file__).parent / "costs.json"
LIMITS_FILE: Final = Path(__file__).parent / "limits.json"
CONNECTOR: Final = "connector throughput"
# the limits beyond which a larger design begins
REDIS_THREAD: Final = "Redis CPU"
SQL_CONNECTIONS: Final = "PostgreSQL connections"
SQL_PROCESSORS: Final = "PostgreSQL CPU"
SQL_MEMORY: Final = "PostgreSQL memory"
ADDRESSES: Final = "subnetwork addresses"
TRAINING_DAYS: Final = int(Settings.model_fields["similarity_lookback_days"].default)


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
    # requests/s of this shop and this mix at which it is reached: 0 if it is already exceeded at LEAST_REQUESTS, None
    # if not even at MOST_REQUESTS
    reached_at: float | None = None

    @property
    def share(self) -> float:
        """The used share of the limit."""
        return self.used / self.limit


@dataclass
class Plan:
    """The plan: its sections, each a list of lines; what Terraform is given; the limits, the first to break first.

    sql_cpus, sql_memory_mib : those of the machine.  sql_work_cpus, sql_used_gib : what the work and the data need.
    on_spark : whether the job ``similarity`` as deployed lacks memory.
    larger_job_gib : the memory with which the job could train the model; None if no machine has as much.
    sample : n, if Spark trains on the events of one user in n.  training_days : days of events that are read.
    training_limits : beyond these, the model is trained in another way, and requests are served as before.
    """

    demand: Demand
    sections: dict[str, list[Line]] = field(default_factory=dict)
    instances: dict[str, int] = field(default_factory=dict)
    max_instances: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    max_connections: int = 0
    sql_cpus: int = 0
    sql_memory_mib: int = 0
    sql_work_cpus: int = 0
    sql_used_gib: float = 0.0
    disk_gib: int = 0
    egress: str = "connector"
    connector_instances: int = 0
    network_mbps: float = 0.0
    redis_gib: int = 0
    redis_busy: float = 0.0
    pairs: float = 0.0
    training_gib: float = 0.0
    on_spark: bool = False
    larger_job_gib: int | None = None
    sample: int = 1
    training_days: int = TRAINING_DAYS
    spark_dcu_hours: float = 0.0
    training_limits: list[Limit] = field(default_factory=list)
    monthly: dict[str, float] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)

    @property
    def exceeded(self) -> list[Limit]:
        """The limits that the plan exceeds."""
        return [limit for limit in self.limits if limit.share > 1]

    @property
    def sql_tier(self) -> str:
        """The tier of Cloud SQL as Terraform writes it: the largest one for a plan that needs more."""
        limits = read_limits()
        cpus = min(self.sql_cpus, int(limits["sql_cpus"]))
        memory_mib = min(self.sql_memory_mib, int(cpus * limits["sql_memory_gib_per_cpu_max"] * 1024))
        return f"db-custom-{cpus}-{memory_mib}"
