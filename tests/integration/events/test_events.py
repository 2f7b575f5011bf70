"""POST /events and /events/batch: an event is accepted once Pub/Sub has it, or refused with a problem."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from shared.clients import reset
from tests.integration.conftest import Serve, settings_of

GOOD = {"user_id": "u1", "product_id": 1, "event_type": "view"}
Take = Callable[..., list[Any]]


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    return serve("events")


@pytest.fixture
def take(messages: Callable[[str], Take]) -> Take:
    return messages("user-events")


def test_an_event_is_published_with_an_id_and_a_time(client: httpx.Client, take: Take) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = client.post("/events", json=GOOD | {"metadata": {"page": "home"}}, headers={"traceparent": traceparent})
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    assert UUID(answer.json()["event_id"]).version == 7
    (message,) = take()
    assert dict(message.attributes) == {
        "schema": "user-events/1",
        "user_id": "u1",
        "event_types": "view",
        "has_purchase": "false",
        "traceparent": traceparent,
    }
    body = orjson.loads(message.data)
    assert body["user_id"] == "u1"
    assert body["events"][0]["event_id"] == answer.json()["event_id"]
    assert body["events"][0]["metadata"] == {"page": "home"}
    assert body["events"][0]["timestamp"].endswith("+00:00")


def test_a_purchase_is_marked_in_the_attributes(client: httpx.Client, take: Take) -> None:
    client.post("/events", json=GOOD | {"event_type": "purchase"})
    assert take()[0].attributes["has_purchase"] == "true"


def test_the_clients_own_event_id_is_kept(client: httpx.Client, take: Take) -> None:
    assert client.post("/events", json=GOOD | {"event_id": "order-7-1"}).json()["event_id"] == "order-7-1"
    assert orjson.loads(take()[0].data)["events"][0]["event_id"] == "order-7-1"


def test_an_idempotency_key_makes_the_same_event_id_every_time(client: httpx.Client) -> None:
    first, second, of_another_key = (
        client.post("/events", json=GOOD, headers={"Idempotency-Key": key}).json()["event_id"]
        for key in ("a", "a", "b")
    )
    assert first == second != of_another_key


@pytest.mark.parametrize("path", ["/events", "/events/batch"])
@pytest.mark.parametrize("key", [b"", b"k" * 256, "clé".encode()])
def test_an_idempotency_key_obeys_the_rules_of_all_routes(client: httpx.Client, path: str, key: bytes) -> None:
    body = GOOD if path == "/events" else {"events": [GOOD]}
    answer = client.post(path, json=body, headers=[(b"Idempotency-Key", key)])
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


def test_a_batch_is_one_message_per_user_and_names_the_rejected_events(client: httpx.Client, take: Take) -> None:
    events = [GOOD, GOOD | {"user_id": "u2"}, GOOD | {"product_id": 0}, GOOD | {"product_id": 2}, "nonsense"]
    answer = client.post("/events/batch", json={"events": events})
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 3
    assert [rejection["index"] for rejection in answer.json()["rejected"]] == [2, 4]
    assert answer.json()["rejected"][0]["problem"]["errors"][0]["field"] == "product_id"
    by_user = {message.attributes["user_id"]: orjson.loads(message.data)["events"] for message in take(2)}
    assert [event["product_id"] for event in by_user["u1"]] == [1, 2]
    assert len(by_user["u2"]) == 1


def test_a_batch_of_500_is_taken_and_501_refused(client: httpx.Client) -> None:
    assert client.post("/events/batch", json={"events": [GOOD] * 500}).json() == {
        "accepted": 500,
        "rejected": [],
        "notes": [],
    }
    assert client.post("/events/batch", json={"events": [GOOD] * 501}).status_code == 422
    assert client.post("/events/batch", json={"events": []}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"{", 400, "malformed-body"),
        (b"", 422, "invalid-request"),
        (b"[]", 422, "invalid-request"),
        (b'{"user_id":"u","product_id":1,"event_type":"view","x":1}', 422, "invalid-request"),
        (b'{"user_id":"u","product_id":1.5,"event_type":"view"}', 422, "invalid-request"),
        (b'{"user_id":"\\u0000","product_id":1,"event_type":"view"}', 422, "invalid-request"),
        (b'{"user_id":"\\ud800","product_id":1,"event_type":"view"}', 422, "invalid-request"),
        (b'{"user_id":"u","product_id":1,"event_type":"view","metadata":{"a":"\\udfff"}}', 422, "invalid-request"),
        (
            b'{"user_id":"u","product_id":1,"event_type":"view","metadata":' + b"[" * 5000 + b"]" * 5000 + b"}",
            None,
            None,
        ),
        (b'{"user_id":"u","product_id":1e400,"event_type":"view"}', 422, "invalid-request"),
        (b"\xff\xfe", 400, "malformed-body"),
        (b'{"user_id":"' + b"u" * 2_000_000 + b'"}', 413, "body-too-large"),
    ],
)
def test_a_bad_body_is_a_problem_and_publishes_nothing(
    client: httpx.Client, take: Take, body: bytes, status: int | None, slug: str | None
) -> None:
    answer = client.post("/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    if status is None:
        assert answer.status_code in (400, 422)
    else:
        assert (answer.status_code, problem["type"]) == (status, f"urn:aisle:problem:{slug}")
    assert problem["instance"] == "/events"
    assert problem["request_id"] == answer.headers["x-request-id"]
    client.post("/events", json=GOOD | {"user_id": "after"})
    assert [message.attributes["user_id"] for message in take()] == ["after"]


def test_unknown_paths_methods_and_parameters_are_problems(client: httpx.Client) -> None:
    assert client.get("/events").status_code == 405
    assert client.get("/events").headers["allow"] == "POST"
    assert client.get("/nowhere").json()["type"] == "urn:aisle:problem:not-found"
    assert client.post("/events/", json=GOOD).status_code == 202


@pytest.fixture
def alone(env: dict[str, str], serve: Serve) -> Iterator[httpx.Client]:
    unreachable = {"DATABASE_URL": "postgresql+pg8000://nobody@127.0.0.1:9/x", "REDIS_URL": "redis://127.0.0.1:9/0"}
    with settings_of(env | unreachable):
        yield serve("events")


def test_events_are_taken_while_postgres_and_redis_are_down(alone: httpx.Client, take: Take) -> None:
    assert alone.post("/events", json=GOOD).status_code == 202
    assert len(take()) == 1
    health = alone.get("/health").json()
    assert (health["status"], health["service"]) == ("healthy", "events")


def test_a_pubsub_that_is_away_is_a_503_with_retry_after(env: dict[str, str], serve: Serve) -> None:
    with settings_of(env | {"PUBSUB_EMULATOR_HOST": "127.0.0.1:9", "PUBLISH_TIMEOUT_S": "0.5"}):
        client = serve("events")
        answer = client.post("/events", json=GOOD)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:aisle:problem:pubsub-unavailable"
        assert int(answer.headers["retry-after"]) > 0
        assert client.post("/events/batch", json={"events": [GOOD]}).status_code == 503
        assert client.get("/health/ready").status_code == 503
        reset()


def test_every_answer_has_the_headers_of_the_edge(client: httpx.Client) -> None:
    answer = client.post("/events", json=GOOD, headers={"X-Request-ID": "my-id", "Origin": "https://shop.example"})
    assert answer.headers["x-request-id"] == "my-id"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert answer.headers["ratelimit-policy"] == '"minute";q=6000;w=60'
    generated = client.post("/events", json=GOOD, headers={"X-Request-ID": "spaces are not taken"}).headers[
        "x-request-id"
    ]
    assert generated != "spaces are not taken"
    assert len(generated) == 24


def test_a_client_beyond_the_limit_gets_429_and_when_to_return(env: dict[str, str], serve: Serve) -> None:
    with settings_of(env | {"RATE_LIMIT_PER_MINUTE": "3", "TRUSTED_PROXIES": "1"}):
        client = serve("events")
        # what stands before the trusted proxy's address the client may have made up
        from_limited, from_other = (
            {"X-Forwarded-For": "10.9.9.9, 192.0.2.7"},
            {"X-Forwarded-For": "192.0.2.7, 192.0.2.8"},
        )
        answers = [client.post("/events", json=GOOD, headers=from_limited) for _ in range(8)]
        # a minute may end in between: then twice three are taken
        assert sum(answer.status_code == 202 for answer in answers) in (3, 6)
        refused = [answer for answer in answers if answer.status_code == 429][-1]
        assert refused.json()["type"] == "urn:aisle:problem:rate-limited"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert client.post("/events", json=GOOD, headers=from_other).status_code == 202
        assert client.get("/health", headers=from_limited).status_code == 200


def test_a_preflight_is_answered(client: httpx.Client) -> None:
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    assert client.options("/events", headers=headers).status_code == 200


def test_the_openapi_document_names_every_route(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/events", "/events/batch", "/health", "/health/ready"} <= set(document["paths"])
    assert "Event" in document["components"]["schemas"]
