"""docs/asyncapi.yaml accepts the messages that the code builds, and refuses those that its readers refuse."""

from pathlib import Path
from typing import Any, Final

import jsonschema
import orjson
import pytest
import yaml
from pydantic import ValidationError

from shared import messages
from shared.domain.events import MAX_EVENTS_PER_REQUEST, Event, EventType
from shared.event_origin import VOUCHED, Origin
from shared.manifest import manifest

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "docs/asyncapi.yaml").read_text())
EVENT: Final[dict[str, Any]] = {
    "event_id": "019ab0a1-7f3c-7c5e-9d2e-5a0f6f2b8c11",
    "product_id": 42,
    "event_type": "view",
    "timestamp": "2026-11-20T20:15:00.123456+00:00",
    "session_id": None,
    "metadata": None,
}


def problems(message: str, part: str, value: Any) -> list[str]:
    """Return the violations of the document's schema by a message's payload or headers (attributes)."""
    schema = {"$ref": f"#/components/messages/{message}/{part}", "components": DOCUMENT["components"]}
    # AsyncAPI 3.0 schemas are those of JSON Schema draft 7
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(value)]


def with_changes(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (EVENT | changes).items() if value != "absent"}


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_channels_and_receivers_are_those_of_the_manifest() -> None:
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert addresses == {name + end for name in manifest().topics for end in ("", "-dead-letter")}
    receivers = {
        name: DOCUMENT["channels"][operation["channel"]["$ref"].rpartition("/")[2]]["address"]
        for name, operation in DOCUMENT["operations"].items()
        if operation["action"] == "receive"
    }
    assert receivers == {entry.name: entry.topic for entry in manifest().of_kind("event")}


def test_types_limits_and_names_are_those_of_the_code() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["UserEvent"]["properties"]["event_type"]["enum"] == [kind.value for kind in EventType]
    assert schemas["UserEvents"]["properties"]["events"]["maxItems"] == MAX_EVENTS_PER_REQUEST
    assert set(schemas["UserEvent"]["properties"]) == set(Event.model_fields) - {"user_id", "sent_at"}
    assert {message["name"] for message in DOCUMENT["components"]["messages"].values()} == {
        messages.USER_EVENTS_SCHEMA,
        messages.CATALOG_CHANGES_SCHEMA,
    }


@pytest.mark.parametrize("message", ["userEvents", "catalogChanges"])
def test_the_examples_are_valid(message: str) -> None:
    for example in DOCUMENT["components"]["messages"][message]["examples"]:
        assert problems(message, "headers", example["headers"]) == []
        assert problems(message, "payload", example["payload"]) == []


@pytest.mark.parametrize("traceparent", [None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])
@pytest.mark.parametrize("event_type", EventType)
def test_the_user_events_that_are_built_are_valid(event_type: EventType, traceparent: str | None) -> None:
    events = [EVENT, with_changes(event_type=event_type.value, metadata={"quantity": 2})]
    data, attributes = messages.user_events("browser-7f3a", events, traceparent)
    assert problems("userEvents", "payload", orjson.loads(data)) == []
    assert problems("userEvents", "headers", attributes) == []


@pytest.mark.parametrize(
    "origin", [VOUCHED, Origin(), Origin(client="00c0ffee00c0ffee"), Origin(client="00c0ffee00c0ffee", crawler=True)]
)
def test_the_origin_of_user_events_is_described(origin: Origin) -> None:
    data, attributes = messages.user_events("browser-7f3a", [EVENT], origin=origin)
    body = orjson.loads(data)
    assert problems("userEvents", "payload", body) == []
    assert problems("userEvents", "headers", attributes) == []
    properties = DOCUMENT["components"]["schemas"]["UserEvents"]["properties"]
    assert set(body) == set(properties)
    assert problems("userEvents", "payload", body | {"vouched": "yes"}) != []


@pytest.mark.parametrize("change", ["created", "updated", "deleted", "stock"])
def test_the_catalog_changes_that_are_built_are_valid(change: str) -> None:
    data, attributes = messages.catalog_changes([1, 2], change)
    assert problems("catalogChanges", "payload", orjson.loads(data)) == []
    assert problems("catalogChanges", "headers", attributes) == []


@pytest.mark.parametrize(
    ("event", "valid"),
    [
        (EVENT, True),
        (with_changes(event_type="search", product_id=None), True),
        (with_changes(event_type="search", product_id="absent"), True),
        (with_changes(session_id="absent", metadata="absent"), True),
        (with_changes(timestamp="2026-11-20T20:15:00Z"), True),
        (with_changes(event_id="order 17, line 2"), True),
        (with_changes(product_id=None), False),
        (with_changes(product_id="absent"), False),
        (with_changes(product_id="42"), False),
        (with_changes(product_id=0), False),
        (with_changes(event_type="liked"), False),
        (with_changes(event_type="absent"), False),
        (with_changes(timestamp="2026-11-20T20:15:00"), False),
        (with_changes(timestamp=1_763_669_700), False),
        (with_changes(event_id=""), False),
        (with_changes(event_id="x" * 129), False),
        (with_changes(session_id=""), False),
        (with_changes(metadata="blue"), False),
        (with_changes(quantity=2), False),
    ],
)
def test_the_schema_and_the_reader_agree_about_an_event(event: dict[str, Any], valid: bool) -> None:
    assert (problems("userEvents", "payload", {"user_id": "u", "events": [event]}) == []) is valid
    try:
        Event.model_validate({"user_id": "u", **event})
    except ValidationError:
        assert not valid
    else:
        assert valid


@pytest.mark.parametrize(
    ("message", "part", "value"),
    [
        ("userEvents", "payload", {"user_id": "u", "events": []}),
        ("userEvents", "payload", {"user_id": "u", "events": [EVENT] * 501}),
        ("userEvents", "payload", {"user_id": "", "events": [EVENT]}),
        ("userEvents", "payload", {"events": [EVENT]}),
        ("userEvents", "headers", {"schema": "user-events/1", "user_id": "u", "event_types": "view"}),
        (
            "userEvents",
            "headers",
            {"schema": "user-events/9", "user_id": "u", "event_types": "view", "has_purchase": "false"},
        ),
        ("catalogChanges", "payload", {"product_ids": [], "change": "updated"}),
        ("catalogChanges", "payload", {"product_ids": ["1"], "change": "updated"}),
        ("catalogChanges", "payload", {"product_ids": [1], "change": "renamed"}),
        ("catalogChanges", "headers", {"schema": "user-events/1"}),
    ],
)
def test_wrong_messages_are_refused(message: str, part: str, value: Any) -> None:
    assert problems(message, part, value) != []
