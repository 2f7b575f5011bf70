"""The clients of clients/ against a running shop, and against a server that fails as a test wants it to."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.places import ROOT
from local.state import read_json
from tests.e2e.scripted import Answer, Scripted, answering
from tests.running import Aisle as System

sys.path.insert(0, str(ROOT / "clients" / "python"))

from aisle_client import Aisle, AsyncAisle, AsyncEventQueue, EventQueue, NoAnswer, Problem, requests

NODE = shutil.which("node")
with_node = pytest.mark.skipif(NODE is None, reason="Node is not installed")
BUSY = Answer(503, {"type": "urn:aisle:problem:busy", "title": "Busy", "status": 503}, {"Retry-After": "0"})
LIMITED = Answer(429, {"type": "urn:aisle:problem:rate-limited", "title": "Too many"}, {"Retry-After": "0"})
LOST = Answer(0)
CART = Answer(200, {"items": []})


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "FIRST_PAUSE_S", 0.001)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running shop without products."""
    system = System(tmp_path_factory.mktemp("clients") / "state")
    system.start()
    try:
        yield system
    finally:
        assert system.stop() == 0


@pytest.fixture(scope="module")
def token(shop: System) -> str:
    return str(read_json(shop.home / "run.json")["environment"]["ADMIN_TOKEN"])


def javascript(url: str, script: str, **environment: str) -> Any:
    """Run a script over ``shop``, a client; return what it prints as JSON."""
    source = f"""
        import {{ Aisle, EventQueue, NoAnswer, Problem }} from {json.dumps(str(ROOT / "clients/js/src/index.js"))};
        const options = JSON.parse(process.env.OPTIONS ?? "{{}}");
        const shop = new Aisle(process.env.SHOP, options);
        {script}
    """
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", source],
        env={"SHOP": url, "PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_shop_is_filled_and_used(shop: System, token: str) -> None:
    with Aisle(shop.url, token=token) as staff:
        lamp = staff.create_product({"name": "Lamp", "price": 9.5, "quantity": 3, "external_id": "a/1"})
        other = staff.create_product({"name": "Chair", "price": 20, "quantity": 7, "external_id": "a, 2"})
        # a change names what it changes, and leaves the rest as it is
        changed = staff.update_product(lamp["id"], {"name": "Reading lamp"})
        assert (changed["name"], changed["price"], changed["quantity"]) == ("Reading lamp", 9.5, 3)
        lines = b'{"name": "Table", "price": 50, "external_id": "a 3"}\n'
        assert staff.import_products(lines, media_type="application/x-ndjson")["created"] == 1
    with Aisle(shop.url) as visitor:
        found = visitor.list_products(external_id=["a/1", "a, 2"], in_stock=True)
        assert sorted(product["name"] for product in found["products"]) == ["Chair", "Reading lamp"]
        cart = visitor.add_cart_item({"external_id": "a/1", "quantity": 2}, user_id="browser-1")
        assert [(line["product"]["id"], line["quantity"]) for line in cart["items"]] == [(lamp["id"], 2)]
        order = visitor.check_out(user_id="browser-1", idempotency_key="order-1")
        assert visitor.check_out(user_id="browser-1", idempotency_key="order-1")["id"] == order["id"]
        assert visitor.get_product(other["id"])["quantity"] == 7
        with pytest.raises(Problem) as raised:
            visitor.get_product(999_999)
        assert (raised.value.status, raised.value.type) == (404, "urn:aisle:problem:product-not-found")
        assert raised.value.request_id
        with pytest.raises(Problem, match="422") as raised:
            visitor.list_products(min_price=-1)
        assert raised.value.errors[0]["field"]


def test_events_go_in_batches_and_those_that_are_refused_come_back(shop: System) -> None:
    lost: list[tuple[list[Any], Exception]] = []
    with (
        Aisle(shop.url) as visitor,
        EventQueue(visitor, size=2, lost=lambda events, error: lost.append((list(events), error))) as queue,
    ):
        for user_id in ("browser-1", "browser-2", "undefined", "browser-4", "browser-5"):
            queue.add({"user_id": user_id, "event_type": "search", "metadata": {"query": "lamp"}})
    assert [[event["user_id"] for event in events] for events, _error in lost] == [["undefined"]]
    assert isinstance(lost[0][1], Problem)


def test_the_asynchronous_client_does_the_same(shop: System) -> None:
    lost: list[Any] = []

    async def use() -> None:
        async with AsyncAisle(shop.url) as visitor:
            async with AsyncEventQueue(visitor, size=2, lost=lambda events, _error: lost.extend(events)) as queue:
                for user_id in ("browser-1", "NaN", "browser-3"):
                    queue.add({"user_id": user_id, "event_type": "search", "metadata": {"query": "lamp"}})
            guest = await visitor.create_guest()
            visitor.http.headers["Authorization"] = f"Bearer {guest['access_token']}"
            assert (await visitor.get_cart())["items"] == []
            with pytest.raises(Problem, match="404"):
                await visitor.get_product(999_999)

    asyncio.run(use())
    assert [event["user_id"] for event in lost] == ["NaN"]


Call = Callable[[str], Any]


def read_cart(url: str) -> Any:
    with Aisle(url) as shop:
        return shop.get_cart(user_id="a b&c")


def add_to_cart(url: str) -> Any:
    with Aisle(url) as shop:
        return shop.add_cart_item({"product_id": 1})


def log_in(url: str) -> Any:
    with Aisle(url) as shop:
        return shop.log_in({"email": "ada@example.com", "password": "a plum"})


async def _read_cart(url: str) -> Any:
    async with AsyncAisle(url) as shop:
        return await shop.get_cart(user_id="a b&c")


@pytest.mark.parametrize("call", [read_cart, lambda url: asyncio.run(_read_cart(url))], ids=["waits", "asyncio"])
@pytest.mark.parametrize("failures", [[BUSY], [LIMITED], [LOST], [Answer(502)], [BUSY, LOST, Answer(504)]])
def test_what_is_safe_to_repeat_is_repeated(call: Call, failures: list[Answer]) -> None:
    with answering(*failures, CART) as server:
        assert call(server.url) == {"items": []}
        assert [request.path for request in server.received] == ["/cart?user_id=a+b%26c"] * (len(failures) + 1)


def test_the_fourth_failure_is_the_last() -> None:
    with answering(BUSY) as server:
        with pytest.raises(Problem, match="503 Busy"):
            read_cart(server.url)
        assert len(server.received) == 4
    with answering(LOST) as server:
        with pytest.raises(NoAnswer, match="GET /cart"):
            read_cart(server.url)
        assert len(server.received) == 4


@pytest.mark.parametrize("failure", [BUSY, LOST, Answer(502), LIMITED])
def test_a_post_with_a_key_is_repeated_with_the_same_key(failure: Answer) -> None:
    with answering(failure, Answer(201, {"items": []})) as server:
        add_to_cart(server.url)
        add_to_cart(server.url)
    keys = [request.headers["Idempotency-Key"] for request in server.received]
    # the second call is another request
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("failure", [LOST, Answer(502), BUSY])
def test_a_post_without_a_key_is_sent_once(failure: Answer) -> None:
    with answering(failure) as server:
        with pytest.raises((Problem, NoAnswer)):
            log_in(server.url)
        assert len(server.received) == 1


def test_a_post_without_a_key_that_the_server_refused_unread_is_repeated() -> None:
    with answering(LIMITED, Answer(200, {"access_token": "made-up-token"})) as server:
        assert log_in(server.url) == {"access_token": "made-up-token"}


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500])
def test_an_error_that_repeating_does_not_mend_is_a_problem_at_once(status: int) -> None:
    with answering(Answer(status, headers={"X-Request-ID": "r-1"})) as server:
        with pytest.raises(Problem) as raised:
            read_cart(server.url)
        assert (raised.value.status, raised.value.type, raised.value.request_id) == (status, "about:blank", "r-1")
        assert len(server.received) == 1


def test_a_wait_of_minutes_is_left_to_the_caller() -> None:
    with answering(Answer(429, headers={"Retry-After": "120"})) as server:
        with pytest.raises(Problem) as raised:
            read_cart(server.url)
        assert (raised.value.retry_after_s, len(server.received)) == (120.0, 1)


def test_a_full_queue_says_which_events_it_lost() -> None:
    lost: list[Any] = []
    accepted = Answer(202, {"accepted": 2, "rejected": [], "notes": []})
    with answering(accepted) as server, Aisle(server.url) as shop:
        queue = EventQueue(
            shop, capacity=2, interval_s=60, lost=lambda events, error: lost.append((events[0]["user_id"], str(error)))
        )
        for user_id in ("a", "b", "c"):
            queue.add({"user_id": user_id, "event_type": "view", "product_id": 1})
        assert lost == [("c", "the queue is full")]
        queue.close()
        queue.add({"user_id": "d", "event_type": "view", "product_id": 1})
        assert lost[1:] == [("d", "the queue is closed")]
        (request,) = server.received
        sent = request.json()["events"]
    assert [event["user_id"] for event in sent] == ["a", "b"]
    assert sent[0]["event_id"] != sent[1]["event_id"]


ACCEPTED = Answer(202, {"accepted": 1, "rejected": [], "notes": []})
UNKNOWN_USER = Answer(202, {"accepted": 0, "rejected": [{"index": 0, "problem": {"title": "no user"}}], "notes": []})
SEARCH = {"user_id": "a", "event_type": "search", "metadata": {"query": "lamp"}}
ORDER = {"user_id": "a", "event_type": "order", "order_id": "1", "lines": [{"product_id": 1}]}
REFUND = {"user_id": "a", "event_type": "refund", "order_id": "1", "lines": [{"product_id": 1, "quantity": 1}]}


def queue_up(url: str, events: list[Any], lost: Callable[[Any, Exception], None]) -> None:
    with Aisle(url) as shop, EventQueue(shop, size=1, lost=lost) as queue:
        for event in events:
            queue.add(event)


def queue_up_in_asyncio(url: str, events: list[Any], lost: Callable[[Any, Exception], None]) -> None:
    async def run() -> None:
        async with AsyncAisle(url) as shop, AsyncEventQueue(shop, size=1, lost=lost) as queue:
            for event in events:
                queue.add(event)

    asyncio.run(run())


@pytest.mark.parametrize("fill", [queue_up, queue_up_in_asyncio])
def test_a_refund_has_an_id_by_which_it_counts_once_and_an_order_needs_none(fill: Any) -> None:
    with answering(ACCEPTED) as server:
        fill(server.url, [ORDER, REFUND, REFUND, REFUND | {"event_id": "mine"}], lambda _events, _error: None)
    order, first, second, own = (event for request in server.received for event in request.json()["events"])
    assert order == ORDER
    assert first["event_id"] != second["event_id"]
    assert own["event_id"] == "mine"


@pytest.mark.parametrize("fill", [queue_up, queue_up_in_asyncio])
@pytest.mark.parametrize(
    ("answer", "event"),
    [(UNKNOWN_USER, SEARCH), (Answer(200, "no result"), SEARCH), (ACCEPTED, SEARCH | {"metadata": {"at": object()}})],
    ids=["refused", "unreadable answer", "event that is no JSON"],
)
def test_a_queue_goes_on_after_a_failure(
    fill: Any, answer: Answer, event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[Any] = []

    def fail(events: Any, _error: Exception) -> None:
        lost.extend(events)
        raise RuntimeError("no room to keep it")

    with answering(answer, ACCEPTED) as server:
        fill(server.url, [event, SEARCH | {"user_id": "b"}], fail)
    assert [event["user_id"] for event in server.received[-1].json()["events"]] == ["b"]
    assert [event["user_id"] for event in lost] == ["a"]
    assert "no room to keep it" in caplog.text


@pytest.mark.parametrize("order_id", ["", ".", ".."])
def test_a_path_reaches_no_other_operation(order_id: str) -> None:
    with answering(CART) as server, Aisle(server.url) as shop:
        with pytest.raises(ValueError, match="order_id"):
            shop.get_order(order_id)
        assert server.received == []
        for escaped in ("...", "a/..", "%2e%2e"):
            shop.get_order(escaped)
    assert [request.path for request in server.received] == ["/orders/...", "/orders/a%2F..", "/orders/%252e%252e"]


@with_node
def test_the_javascript_client_reaches_no_other_operation() -> None:
    script = """
        const outcomes = [];
        for (const id of ["", ".", "..", "...", "a/.."]) {
          outcomes.push(await shop.removeCartItem(id).then(() => "sent", (error) => error.name));
        }
        console.log(JSON.stringify(outcomes));
    """
    outcome, server = node_outcome(script, CART)
    assert outcome == ["RangeError", "RangeError", "RangeError", "sent", "sent"]
    assert [request.path for request in server.received] == ["/cart/items/...", "/cart/items/a%2F.."]


@with_node
def test_a_queue_of_the_javascript_client_goes_on_after_a_failure() -> None:
    script = """
        const lost = [];
        const fail = (events) => { lost.push(...events); throw new Error("no room"); };
        const queue = new EventQueue(shop, { size: 1, lost: fail });
        for (const event of JSON.parse(process.env.EVENTS)) queue.add(event);
        await queue.flush();
        console.log(JSON.stringify(lost.map((event) => event.user_id)));
    """
    with answering(UNKNOWN_USER, Answer(422), ACCEPTED) as server:
        events = [SEARCH, SEARCH | {"user_id": "b"}, ORDER, REFUND]
        lost = javascript(server.url, script, EVENTS=json.dumps(events))
    sent = [event for request in server.received for event in request.json()["events"]]
    assert lost == ["a", "b"]
    assert [event["event_type"] for event in sent] == ["search", "search", "order", "refund"]
    assert [bool(event.get("event_id")) for event in sent] == [True, True, False, True]


@with_node
def test_the_javascript_client_uses_a_shop(shop: System, token: str) -> None:
    script = """
        const made = await shop.createProduct({ name: "Vase", price: 5, quantity: 2, external_id: "v/1" });
        const changed = await shop.updateProduct(made.id, { name: "Tall vase" });
        const visitor = new Aisle(process.env.SHOP);
        const found = await visitor.listProducts({ external_id: ["v/1", "none"], in_stock: true, category: undefined });
        const cart = await visitor.addCartItem({ external_id: "v/1" }, { user_id: "node 1" });
        const order = await visitor.checkOut({}, { user_id: "node 1" }, { idempotencyKey: "node-1" });
        const again = await visitor.checkOut({}, { user_id: "node 1" }, { idempotencyKey: "node-1" });
        const lost = [];
        const queue = new EventQueue(visitor, { size: 2, lost: (events, error) => lost.push([events, error.name]) });
        for (const user_id of ["node 1", "undefined", "node 3"]) {
          queue.add({ user_id, event_type: "search", metadata: { query: "vase" } });
        }
        await queue.flush();
        const missing = await visitor.getProduct(999999).catch((problem) => problem);
        console.log(JSON.stringify({
          changed: [changed.name, changed.price, changed.quantity], found: found.products.map((one) => one.name),
          cart: cart.items.length, same: order.id === again.id,
          lost: lost.map(([[event], name]) => [event.user_id, name]),
          missing: [missing instanceof Problem, missing.status, missing.type],
        }));
    """
    assert javascript(shop.url, script, OPTIONS=json.dumps({"token": token})) == {
        "changed": ["Tall vase", 5, 2],
        "found": ["Tall vase"],
        "cart": 1,
        "same": True,
        "lost": [["undefined", "Problem"]],
        "missing": [True, 404, "urn:aisle:problem:product-not-found"],
    }


NODE_CALL = """
    const outcome = await %s.then((answer) => ["answer", answer], (error) => [error.name, error.status ?? null]);
    console.log(JSON.stringify(outcome));
"""
GET_CART = NODE_CALL % 'shop.getCart({ user_id: "a b&c" })'
ADD = NODE_CALL % "shop.addCartItem({ product_id: 1 })"
LOG_IN = NODE_CALL % 'shop.logIn({ email: "ada@example.com", password: "x" })'


def node_outcome(script: str, *answers: Answer) -> tuple[Any, Scripted]:
    with answering(*answers) as server:
        return javascript(server.url, script), server


@with_node
def test_the_javascript_client_repeats_what_is_safe_to_repeat() -> None:
    outcome, server = node_outcome(GET_CART, BUSY, LOST, CART)
    assert outcome == ["answer", {"items": []}]
    assert [request.path for request in server.received] == ["/cart?user_id=a+b%26c"] * 3
    outcome, server = node_outcome(ADD, LOST, CART)
    assert outcome[0] == "answer"
    assert len({request.headers["Idempotency-Key"] for request in server.received}) == 1
    assert len(server.received) == 2


@with_node
def test_the_javascript_client_sends_once_what_is_not() -> None:
    for failure, outcome in ((LOST, ["NoAnswer", None]), (Answer(502), ["Problem", 502]), (BUSY, ["Problem", 503])):
        answered, server = node_outcome(LOG_IN, failure)
        assert (answered, len(server.received)) == (outcome, 1)
    answered, server = node_outcome(GET_CART, Answer(404, {"type": "urn:aisle:problem:product-not-found"}))
    assert (answered, len(server.received)) == (["Problem", 404], 1)
    answered, server = node_outcome(GET_CART, Answer(429, headers={"Retry-After": "120"}))
    assert (answered, len(server.received)) == (["Problem", 429], 1)
