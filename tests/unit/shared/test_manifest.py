"""functions.yaml: it lists exactly the folders and jobs, and an invalid entry is refused by name."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from croniter import croniter

from shared.manifest import FILE, InvalidManifest, load, manifest, parse, serving

DOCUMENT: dict[str, Any] = {
    "topics": {"things": {}},
    "entries": {
        "shop": {
            "kind": "http",
            "public": True,
            "paths": ["/shop"],
            "needs": ["postgres"],
            "memory": 512,
            "cpu": 1,
            "concurrency": 80,
            "min_instances": 0,
            "max_instances": 2,
            "timeout_s": 60,
            "environment": {},
            "secrets": [],
        },
        "apply": {
            "kind": "event",
            "topic": "things",
            "filter": "",
            "attempts": 5,
            "min_backoff_s": 1,
            "max_backoff_s": 60,
            "needs": [],
            "memory": 512,
            "cpu": 1,
            "concurrency": 1,
            "min_instances": 0,
            "max_instances": 2,
            "timeout_s": 60,
            "environment": {},
            "secrets": [],
        },
        "nightly": {
            "kind": "job",
            "schedule": "0 2 * * *",
            "needs": [],
            "memory": 512,
            "cpu": 2,
            "concurrency": 1,
            "min_instances": 0,
            "max_instances": 1,
            "timeout_s": 60,
            "environment": {},
            "secrets": [],
        },
    },
}


def changed(entry: str, **values: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["entries"][entry] |= values
    return document


def test_the_manifest_of_the_repository_is_valid() -> None:
    parsed = manifest()
    assert parsed.paths["/similar-products"] == "recommendations"
    assert {entry.topic for entry in parsed.of_kind("event")} <= set(parsed.topics)
    assert all(croniter.is_valid(entry.schedule) for entry in parsed.of_kind("job") if entry.schedule)


def test_an_hour_of_outage_dead_letters_no_event() -> None:
    for entry in manifest().of_kind("event"):
        pauses = [min(entry.min_backoff_s * 2**failures, entry.max_backoff_s) for failures in range(entry.attempts - 1)]
        assert sum(pauses) > 3600, entry.name
        # events are applied soon after an outage
        assert entry.max_backoff_s <= 60, entry.name


def test_folders_and_entries_are_the_same() -> None:
    root = FILE.parent
    folders = {path.parent.name for path in root.glob("functions/*/main.py")}
    modules = {path.stem for path in root.glob("jobs/*.py") if f"\ndef {path.stem}(" in path.read_text()}
    parsed = manifest()
    assert folders == {
        entry.name for entry in (*parsed.of_kind("http"), *parsed.of_kind("edge"), *parsed.of_kind("event"))
    }
    assert modules == {entry.name for entry in parsed.of_kind("job")}


def test_an_edge_has_what_the_public_functions_have_together() -> None:
    document = changed("shop", environment={"A": "1"}, secrets=["TOKEN"])
    sizes = {name: document["entries"]["shop"][name] for name in ("memory", "cpu", "concurrency", "timeout_s")}
    other = {"paths": ["/other"], "needs": ["redis", "postgres", "pubsub"], "publishes": ["things"], "secrets": ["KEY"]}
    document["entries"] |= {
        "edge": {"kind": "edge", "min_instances": 0, "max_instances": 3} | sizes,
        "other": document["entries"]["shop"] | other | {"environment": {"B": "2"}},
        "closed": document["entries"]["shop"] | {"public": False, "paths": ["/closed"], "secrets": ["CLOSED"]},
    }
    parsed = parse(document)
    edge = parsed.entries["edge"]
    assert (edge.public, edge.paths, edge.needs) == (True, ("/shop", "/other"), ("postgres", "redis", "pubsub"))
    assert (edge.publishes, edge.secrets, edge.environment) == (("things",), ("TOKEN", "KEY"), {"A": "1", "B": "2"})
    # requests go to the functions themselves
    assert parsed.paths == {"/shop": "shop", "/other": "other", "/closed": "closed"}
    assert [entry.name for entry in parsed.public_functions] == ["shop", "other"]
    document["entries"]["edge"]["paths"] = ["/edge"]
    with pytest.raises(InvalidManifest, match="edge: unknown keys paths"):
        parse(document)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/b", "b"),
        ("/a/b/c/d", "b"),
        ("/a/bc", "a"),
        ("/", "root"),
        ("/x", None),
        ("/ab", None),
        ("//a", None),
        ("", None),
    ],
)
def test_a_request_goes_to_the_longest_path_that_is_its_own_or_a_parent(path: str, name: str | None) -> None:
    assert serving({"/": "root", "/a": "a", "/a/b": "b"}, path) == name


def test_a_manifest_is_parsed_into_entries() -> None:
    parsed = parse(DOCUMENT)
    assert parsed.paths == {"/shop": "shop"}
    assert parsed.entries["apply"].attempts == 5
    assert parsed.entries["nightly"].schedule == "0 2 * * *"
    assert not parsed.entries["nightly"].heavy


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed("shop", kind="web"), "shop: kind must be one of http, edge, event, job, not 'web'"),
        (changed("shop", memmory=1), "shop: unknown keys memmory"),
        (changed("shop", topic="things"), "shop: unknown keys topic"),
        (changed("shop", memory="512"), "shop: memory cannot be '512'"),
        (changed("shop", memory=True), "shop: memory cannot be True"),
        (changed("shop", memory=1), "shop: memory must be at least 128, not 1"),
        (changed("shop", min_instances=3), "shop: max_instances is less than min_instances"),
        (changed("shop", paths=[]), "shop: paths is empty"),
        (changed("shop", paths=["shop"]), "shop: the path 'shop' must start with a slash"),
        (changed("shop", paths=["/shop/"]), "shop: the path '/shop/' must start with a slash and not end"),
        (changed("shop", paths=["//"]), "shop: the path '//' must start with a slash and not end"),
        (changed("shop", paths=["/a", "/a"]), "shop: the path /a already belongs to shop"),
        (changed("shop", needs=["mysql"]), "shop: needs has unknown services mysql; known are postgres, redis, pubsub"),
        (changed("shop", needs=["pubsub"]), "shop: publishes must name the topics it publishes to if it needs pubsub"),
        (
            changed("shop", publishes=["things"]),
            "shop: publishes must name the topics it publishes to if it needs pubsub",
        ),
        (changed("shop", needs=["pubsub"], publishes=[]), "shop: publishes must name the topics it publishes to"),
        (
            changed("shop", needs=["pubsub"], publishes=["things", "others"]),
            "shop: publishes names others, but the topics are things",
        ),
        (changed("shop", secrets=[1]), "shop: secrets must be a list of strings"),
        (changed("shop", environment={"A": 1}), "shop: environment values must be strings"),
        (changed("apply", topic="others"), "apply: topic 'others' is not one of things"),
        (changed("apply", attempts=4), "apply: attempts must be at least 5, not 4"),
        (changed("apply", attempts=101), "apply: attempts must be at most 100, not 101"),
        (changed("apply", min_backoff_s=61), "apply: max_backoff_s must be from min_backoff_s to 600, not 60"),
        (changed("apply", max_backoff_s=601), "apply: max_backoff_s must be from min_backoff_s to 600, not 601"),
        (changed("nightly", schedule="daily"), "nightly: schedule 'daily' does not have the five fields of cron"),
        ({"topics": {}, "entries": {"Shop": {}}}, "Shop: the name must be a Python identifier in lower case"),
        ({"topics": {}, "entries": {"shop": None}}, "shop: must be a mapping"),
        ({"topics": {}, "entries": {}, "more": 1}, "functions.yaml: unknown keys more"),
        ({"entries": {}}, "topics: must be a mapping"),
        ([], "functions.yaml: must be a mapping"),
    ],
)
def test_what_cannot_be_is_refused(document: Any, message: str) -> None:
    with pytest.raises(InvalidManifest, match=re.escape(message)):
        parse(document)


def test_a_missing_key_is_named() -> None:
    document = copy.deepcopy(DOCUMENT)
    del document["entries"]["shop"]["timeout_s"]
    with pytest.raises(InvalidManifest, match="shop: timeout_s is missing"):
        parse(document)


def test_one_process_cannot_have_two_values_of_a_setting() -> None:
    document = changed("shop", environment={"LOG_LEVEL": "INFO"})
    document["entries"]["apply"]["environment"] = {"LOG_LEVEL": "DEBUG"}
    with pytest.raises(InvalidManifest, match="apply: environment LOG_LEVEL differs from shop's"):
        parse(document)


def test_a_broken_file_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "functions.yaml"
    file.write_text("a: [")
    with pytest.raises(InvalidManifest, match=r"functions\.yaml cannot be read"):
        load(file)
    file.write_text(yaml.safe_dump(DOCUMENT))
    assert set(load(file).entries) == {"shop", "apply", "nightly"}
