"""Reads and validates the manifest `functions.yaml`: every deployed function and job.

Imports nothing heavier than a YAML parser, because functions read the manifest too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

FILE: Final = Path(__file__).parent.parent / "functions.yaml"
KINDS: Final = ("http", "edge", "event", "job")
SERVICES: Final = ("postgres", "redis", "pubsub")

T = TypeVar("T")


class InvalidManifest(ValueError):
    """`functions.yaml` is not valid; the message names the entry and the key."""


@dataclass(frozen=True)
class Entry:
    """A function or job: its trigger, its resources (memory in MiB, cpu in vCPU) and its environment."""

    name: str
    kind: str
    needs: tuple[str, ...]
    memory: int
    cpu: float
    concurrency: int
    min_instances: int
    max_instances: int
    timeout_s: int
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    # The topics that it may publish to.
    publishes: tuple[str, ...] = ()
    # For http and edge; an edge has the paths of the functions behind it.
    public: bool = False
    paths: tuple[str, ...] = ()
    # event
    topic: str = ""
    filter: str = ""
    attempts: int = 100
    min_backoff_s: int = 1
    max_backoff_s: int = 60
    # For job; without a schedule it runs on demand.
    schedule: str | None = None
    heavy: bool = False


@dataclass(frozen=True)
class Manifest:
    """All topics and entries, in the order of the file."""

    topics: tuple[str, ...]
    entries: Mapping[str, Entry]

    def of_kind(self, kind: str) -> tuple[Entry, ...]:
        """Return the entries of one kind."""
        return tuple(entry for entry in self.entries.values() if entry.kind == kind)

    @property
    def paths(self) -> dict[str, str]:
        """Return the name of the function that serves each path."""
        return {path: entry.name for entry in self.of_kind("http") for path in entry.paths}

    @property
    def public_functions(self) -> tuple[Entry, ...]:
        """Return the HTTP functions that anybody may invoke, which are served by an edge."""
        return tuple(entry for entry in self.of_kind("http") if entry.public)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of all entries together, for a process that serves several of them."""
        return {name: value for entry in self.entries.values() for name, value in entry.environment.items()}


# For each key: the type of its value, and its minimum if it is a number.
COMMON: Final[dict[str, tuple[type | tuple[type, ...], float]]] = {
    "needs": (list, 0),
    "memory": (int, 128),
    "cpu": ((int, float), 0.08),
    "concurrency": (int, 1),
    "min_instances": (int, 0),
    "max_instances": (int, 1),
    "timeout_s": (int, 1),
    "environment": (dict, 0),
    "secrets": (list, 0),
    "publishes": (list, 0),
}
OWN: Final[dict[str, dict[str, tuple[type | tuple[type, ...], float]]]] = {
    "http": {"public": (bool, 0), "paths": (list, 0)},
    "edge": {},
    "event": {
        "topic": (str, 0),
        "filter": (str, 0),
        "attempts": (int, 5),
        "min_backoff_s": (int, 0),
        "max_backoff_s": (int, 0),
    },
    "job": {"schedule": ((str, type(None)), 0), "heavy": (bool, 0)},
}
OPTIONAL: Final = ("heavy", "publishes")
# The keys that an edge combines from all public functions; terraform/functions.tf does the same.
JOINED: Final = ("paths", "needs", "publishes", "secrets")
# Pub/Sub's limits.
MAX_ATTEMPTS: Final = 100
MAX_BACKOFF_S: Final = 600


def serving(served: Mapping[str, T], path: str) -> T | None:
    """Return the value in ``served`` of the longest path that equals ``path`` or is a parent of it, or None.

    The path / is not a parent. The load balancer has the same rule (terraform/balancer.tf).
    """
    found = served.get(path)
    while found is None and len(path := path.rpartition("/")[0]) > 1:
        found = served.get(path)
    return found


@cache
def manifest() -> Manifest:
    """Return the manifest of this repository."""
    return load(FILE)


def load(file: Path) -> Manifest:
    """Read and validate a manifest. Raises InvalidManifest."""
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InvalidManifest(f"{file.name} cannot be read: {error}") from None
    return parse(document)


def parse(parsed: Any) -> Manifest:
    """Validate a parsed manifest. Raises InvalidManifest."""
    document = _mapping(parsed, "functions.yaml")
    _check_keys(document, {"topics", "entries"}, "functions.yaml")
    topics = tuple(_mapping(document.get("topics"), "topics"))
    listed = _mapping(document.get("entries"), "entries")
    entries = {name: _entry(str(name), _mapping(values, str(name))) for name, values in listed.items()}
    public = [entry for entry in entries.values() if entry.kind == "http" and entry.public]
    entries = {name: _standing_for(public, entry) if entry.kind == "edge" else entry for name, entry in entries.items()}
    owners: dict[str, str] = {}
    environment: dict[str, tuple[str, str]] = {}
    for entry in entries.values():
        for path in entry.paths if entry.kind == "http" else ():
            if path in owners:
                raise InvalidManifest(f"{entry.name}: the path {path} already belongs to {owners[path]}")
            owners[path] = entry.name
        if entry.kind == "event" and entry.topic not in topics:
            raise InvalidManifest(f"{entry.name}: topic {entry.topic!r} is not one of {', '.join(topics)}")
        if unknown := set(entry.publishes) - set(topics):
            raise InvalidManifest(
                f"{entry.name}: publishes names {', '.join(sorted(unknown))}, but the topics are {', '.join(topics)}"
            )
        for variable, value in entry.environment.items():
            other, other_value = environment.setdefault(variable, (entry.name, value))
            if other_value != value:
                raise InvalidManifest(f"{entry.name}: environment {variable} differs from {other}'s")
    return Manifest(topics, entries)


def _entry(name: str, values: Mapping[str, Any]) -> Entry:
    if not name.isidentifier() or name != name.lower():
        raise InvalidManifest(f"{name}: the name must be a Python identifier in lower case")
    kind = values.get("kind")
    if kind not in KINDS:
        raise InvalidManifest(f"{name}: kind must be one of {', '.join(KINDS)}, not {kind!r}")
    keys = COMMON | OWN[kind]
    if kind == "edge":
        keys = {key: value for key, value in keys.items() if key not in (*JOINED, "environment")}
    _check_keys(values, {"kind", *keys}, name)
    for key, (expected, minimum) in keys.items():
        if key not in values:
            if key in OPTIONAL:
                continue
            raise InvalidManifest(f"{name}: {key} is missing")
        value = values[key]
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise InvalidManifest(f"{name}: {key} cannot be {value!r}")
        if isinstance(value, (int, float)) and value < minimum:
            raise InvalidManifest(f"{name}: {key} must be at least {minimum}, not {value}")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise InvalidManifest(f"{name}: {key} must be a list of strings")
    needs = values.get("needs", ())
    if unknown := set(needs) - set(SERVICES):
        raise InvalidManifest(
            f"{name}: needs has unknown services {', '.join(sorted(unknown))}; known are {', '.join(SERVICES)}"
        )
    if ("pubsub" in needs) != bool(values.get("publishes")):
        raise InvalidManifest(
            f"{name}: publishes must name the topics it publishes to if it needs pubsub, and be absent otherwise"
        )
    if values["max_instances"] < values["min_instances"]:
        raise InvalidManifest(f"{name}: max_instances is less than min_instances")
    if kind == "event":
        _check_retries(name, values)
    if not all(isinstance(value, str) for value in values.get("environment", {}).values()):
        raise InvalidManifest(f"{name}: environment values must be strings; put them in quotes")
    for path in values.get("paths", ()):
        if not path.startswith("/") or (path != "/" and path.endswith("/")):
            raise InvalidManifest(f"{name}: the path {path!r} must start with a slash and not end with one")
    if kind == "http" and not values["paths"]:
        raise InvalidManifest(f"{name}: paths is empty")
    if kind == "job" and values["schedule"] is not None and len(values["schedule"].split()) != 5:
        raise InvalidManifest(f"{name}: schedule {values['schedule']!r} does not have the five fields of cron")
    checked: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Entry(name, **({"needs": ()} | checked))


def _standing_for(functions: Sequence[Entry], edge: Entry) -> Entry:
    """Return an edge with the keys in JOINED and the environment combined from ``functions``."""
    joined: dict[str, Any] = {
        key: tuple(dict.fromkeys(value for entry in functions for value in getattr(entry, key))) for key in JOINED
    }
    environment = {name: value for entry in functions for name, value in entry.environment.items()}
    return replace(edge, public=True, environment=environment, **joined)


def _check_retries(name: str, values: Mapping[str, Any]) -> None:
    if values["attempts"] > MAX_ATTEMPTS:
        raise InvalidManifest(f"{name}: attempts must be at most {MAX_ATTEMPTS}, not {values['attempts']}")
    if not values["min_backoff_s"] <= values["max_backoff_s"] <= MAX_BACKOFF_S:
        raise InvalidManifest(
            f"{name}: max_backoff_s must be from min_backoff_s to {MAX_BACKOFF_S}, not {values['max_backoff_s']}"
        )


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidManifest(f"{where}: must be a mapping of names to values")
    return value


def _check_keys(values: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := set(values) - keys:
        raise InvalidManifest(f"{where}: unknown keys {', '.join(sorted(map(str, unknown)))}")
