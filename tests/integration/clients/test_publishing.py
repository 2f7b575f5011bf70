"""Pub/Sub away: an event's 503 says what is known, a refusal takes milliseconds, and Pub/Sub is found again at once."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from google.api_core.exceptions import NotFound

from local.chaos.proxy import Proxy
from shared.clients import pubsub
from shared.errors import PubSubUnavailable
from tests.faulty_proxy import in_front_of
from tests.integration.conftest import settings_of
from tests.integration.people import ADMIN

Serve = Callable[[str], httpx.Client]
Take = Callable[..., list[Any]]
EVENT = {"user_id": "ann", "product_id": 1, "event_type": "view"}
TIMEOUT_S = 2.0
# within which events are taken after Pub/Sub is back
SOON_S = 10.0
# of a refusal, on a busy machine
AT_ONCE_S = 0.5


@pytest.fixture
def proxy(env: dict[str, str]) -> Iterator[Proxy]:
    with in_front_of(f"http://{env['PUBSUB_EMULATOR_HOST']}") as (proxy, url):
        settings = {"PUBSUB_EMULATOR_HOST": url.removeprefix("http://"), "PUBLISH_TIMEOUT_S": str(TIMEOUT_S)}
        with settings_of(env | settings):
            yield proxy


def timed(send: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return send(), time.monotonic() - began


@pytest.fixture
def take(messages: Callable[[str], Take]) -> Take:
    return messages("user-events")


@pytest.mark.parametrize("fault", ["refuse", "stall", "lose"])
def test_an_event_is_refused_at_once_and_taken_again_soon(proxy: Proxy, serve: Serve, take: Take, fault: str) -> None:
    client = serve("events")
    assert client.post("/events", json=EVENT).status_code == 202
    getattr(proxy, fault)()
    first, waited_s = timed(lambda: client.post("/events", json=EVENT))
    problem = first.json()
    assert (first.status_code, problem["type"]) == (503, "urn:aisle:problem:pubsub-unavailable")
    assert problem["may_have_been_taken"] is True
    assert "may have been accepted all the same: send it again with this event_id" in problem["detail"]
    assert waited_s < TIMEOUT_S + 3
    # by the breaker; a batch is refused like an event
    second, waited_s = timed(lambda: client.post("/events", json=EVENT | {"event_id": problem["event_id"]}))
    assert waited_s < AT_ONCE_S
    assert (second.status_code, second.json()["may_have_been_taken"]) == (503, False)
    assert second.json()["event_id"] == problem["event_id"]
    batch = client.post("/events/batch", json={"events": [EVENT, "nonsense", EVENT | {"event_id": "e-3"}]})
    assert (batch.status_code, batch.json()["may_have_been_taken"]) == (503, False)
    assert [entry["index"] for entry in batch.json()["events"]] == [0, 2]
    assert batch.json()["events"][1]["event_id"] == "e-3"
    assert int(batch.headers["Retry-After"]) > 0

    proxy.heal()
    began = time.monotonic()
    again = EVENT | {"event_id": problem["event_id"]}
    while (answer := client.post("/events", json=again)).status_code == 503:
        assert time.monotonic() - began < SOON_S
        time.sleep(0.1)
    assert (answer.status_code, answer.json()["event_id"]) == (202, problem["event_id"])
    assert client.post("/events", json=EVENT).status_code == 202
    taken = [event["event_id"] for message in take(3) for event in orjson.loads(message.data)["events"]]
    assert problem["event_id"] in taken


def test_nothing_is_sent_behind_a_message_that_waits_for_long(
    proxy: Proxy, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub, "STALLED_S", 0.3)
    client = serve("events")
    assert client.post("/events", json=EVENT).status_code == 202
    proxy.stall()
    results: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: results.append(client.post("/events", json=EVENT)))
    waiting.start()
    time.sleep(0.6)
    refused, waited_s = timed(lambda: client.post("/events", json=EVENT))
    assert (refused.status_code, refused.json()["may_have_been_taken"]) == (503, False)
    assert waited_s < AT_ONCE_S
    assert results == []
    proxy.heal()
    waiting.join(10)
    # the fault was shorter than the time-out: nobody need know of it
    assert results[0].status_code == 202
    assert client.post("/events", json=EVENT).status_code == 202


def test_while_pubsub_is_away_one_message_at_a_time_tries_it(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub, "BREAKER_S", 0.1)
    proxy.stall()
    with pytest.raises(PubSubUnavailable):
        pubsub.publish("user-events", b"{}", {})
    time.sleep(0.2)
    probe = pubsub.send("user-events", b"{}", {})
    for _ in range(3):
        with pytest.raises(PubSubUnavailable) as refusal:
            pubsub.send("user-events", b"{}", {})
        assert not refusal.value.was_sent
    proxy.heal()
    assert probe.result(10)
    assert pubsub.publish("user-events", b"{}", {})


def test_a_message_that_is_at_fault_itself_does_not_open_the_breaker(proxy: Proxy) -> None:
    with pytest.raises(NotFound):
        pubsub.send("no-such-topic", b"{}", {}).result(10)
    assert pubsub.publish("user-events", b"{}", {})


@pytest.mark.parametrize("path", ["/track", "/mp/collect"])
def test_a_collector_s_client_is_told_to_send_the_request_again(proxy: Proxy, serve: Serve, path: str) -> None:
    made = serve("admin").post("/admin/api-keys", json={"kind": "publishable", "name": "web"}, headers=ADMIN)
    item = {"name": "view_item", "params": {"items": [{"item_id": "A"}]}}
    body, parameters = {
        "/track": ({"user_id": "ann", "event": "view", "product_id": 1}, {}),
        "/mp/collect": (
            {"client_id": "1.2", "events": [item]},
            {"api_secret": made.json()["key"], "measurement_id": "G-1"},
        ),
    }[path]
    client = serve("collect")
    proxy.refuse()
    for was_sent in (True, False):
        answer = client.post(path, json=body, params=parameters)
        problem = answer.json()
        assert (answer.status_code, problem.get("may_have_been_taken")) == (503, was_sent), problem
        assert "send the same request again" in problem["detail"]
        # it neither knows nor may send Aisle's ids of events
        assert "event_id" not in answer.text
        assert "events" not in problem
        assert int(answer.headers["Retry-After"]) > 0
