"""The queues of events of both clients: what one event, one answer or one callback must not do to the others."""

import asyncio
import shutil
import sys
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from local.places import ROOT
from tests.e2e.scripted import Answer, answering
from tests.e2e.test_clients import javascript

sys.path.insert(0, str(ROOT / "clients" / "python"))

from aisle_client import Aisle, AsyncAisle, AsyncEventQueue, EventQueue, NoAnswer, models

with_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
ACCEPTED = Answer(202, {"accepted": 1, "rejected": [], "notes": []})
# what the login page of a proxy is to a client: a success without JSON
PAGE = Answer(200, raw=b"<html>")


def view(user_id: str) -> models.Event:
    return cast("models.Event", {"user_id": user_id, "event_type": "view", "product_id": 1})


def test_an_event_that_is_no_json_is_lost_at_once_and_the_others_are_sent() -> None:
    lost: list[tuple[str, str]] = []

    def keep(events: Any, error: Exception) -> None:
        lost.extend((event["user_id"], str(error)) for event in events)

    with answering(ACCEPTED) as server, Aisle(server.url) as shop:
        queue = EventQueue(shop, interval_s=60, lost=keep)
        queue.add(view("a"))
        queue.add(cast("models.Event", {**view("b"), "timestamp": datetime.now(UTC)}))
        assert lost == [("b", "TypeError: Object of type datetime is not JSON serializable")]
        queue.add(view("c"))
        queue.close()
        assert [event["user_id"] for event in server.received[0].json()["events"]] == ["a", "c"]


def test_a_page_instead_of_json_is_no_answer() -> None:
    refusal = "GET /cart: the answer is not JSON"
    with answering(PAGE) as server, Aisle(server.url) as shop, pytest.raises(NoAnswer, match=refusal):
        shop.get_cart(user_id="a")


@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_a_queue_sends_on_after_a_page_and_after_a_callback_that_fails(
    is_asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[str] = []

    def fail(events: Any, error: Exception) -> None:
        lost.extend(event["user_id"] for event in events)
        raise RuntimeError("the callback")

    async def use(url: str) -> None:
        async with AsyncAisle(url) as shop, AsyncEventQueue(shop, size=1, lost=fail) as queue:
            for user_id in ("a", "b"):
                queue.add(view(user_id))

    with answering(PAGE, ACCEPTED) as server:
        if is_asynchronous:
            asyncio.run(use(server.url))
        else:
            with Aisle(server.url) as shop, EventQueue(shop, size=1, lost=fail) as queue:
                for user_id in ("a", "b"):
                    queue.add(view(user_id))
        assert [request.json()["events"][0]["user_id"] for request in server.received] == ["a", "b"]
    assert lost == ["a"]
    assert "the function `lost` of an event queue failed" in caplog.text


@with_node
def test_the_javascript_queue_holds_no_more_than_its_capacity_while_it_sends() -> None:
    script = """
        const lost = [];
        const queue = new EventQueue(shop, { size: 2, capacity: 3, lost: (events) => lost.push(events[0].user_id) });
        for (const user_id of ["a", "b", "c", "d", "e", "f"]) {
          queue.add({ user_id, event_type: "view", product_id: 1 });
        }
        await queue.flush();
        queue.add({ user_id: "g", event_type: "view", product_id: 1 });
        await queue.flush();
        console.log(JSON.stringify(lost));
    """
    with answering(ACCEPTED) as server:
        # the first two are on their way, three wait, and the sixth finds no room
        assert javascript(server.url, script) == ["f"]
        sent = [[event["user_id"] for event in request.json()["events"]] for request in server.received]
    assert sent == [["a", "b"], ["c", "d"], ["e"], ["g"]]


@with_node
def test_the_javascript_queue_sends_on_after_a_callback_that_fails() -> None:
    script = """
        console.error = () => {};
        const lost = [];
        const fail = (events) => { lost.push(events[0].user_id); throw new Error("the callback"); };
        const queue = new EventQueue(shop, { size: 1, lost: fail });
        for (const user_id of ["a", "b"]) queue.add({ user_id, event_type: "view", product_id: 1 });
        await queue.flush();
        console.log(JSON.stringify(lost));
    """
    with answering(Answer(422), ACCEPTED) as server:
        assert javascript(server.url, script) == ["a"]
        assert [request.json()["events"][0]["user_id"] for request in server.received] == ["a", "b"]
