"""Shoppers and staff: they send events, buy, read, change prices, and repeat what was not accepted, as clients do."""

import http.client
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson

from local.chaos.record import Record
from shared.domain.events import uuid7

CLIENT_TIMEOUT_S: Final = 30.0
RETRY_S: Final = 0.4
# seconds after which a shopper gives an order or an event up; only a fault of the shop's makes that happen
PATIENCE_S: Final = 60.0
USERS: Final = 60
# share of accepted events that are sent once more, as browsers and proxies do
AGAIN: Final = 0.05
READS: Final = "read"
LARGE: Final = {"note": "x" * 4000}


class Reply(NamedTuple):
    """An answer; status 0 if none came."""

    status: int
    body: bytes
    retry_after: str | None

    def json(self) -> Any:
        """Return the parsed body."""
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Sample:
    """A request: times are of time.monotonic. ``first`` is when the first attempt of a repeated request began."""

    kind: str
    first: float
    began: float
    ended: float
    reply: Reply
    path: str

    @property
    def seconds(self) -> float:
        """How long the client waited."""
        return self.ended - self.began

    @property
    def is_error(self) -> bool:
        """Whether the client did not get what it wanted."""
        return not 200 <= self.reply.status < 300

    @property
    def is_wrong(self) -> bool:
        """Whether the answer is one that no fault may cause.

        A fault answers 503 with Retry-After; 409 means that the first attempt still runs; 429 protects others.
        """
        if self.reply.status in (0, 409, 429):
            return False
        return self.is_error and (self.reply.status != 503 or self.reply.retry_after is None)


class Driver:
    """The clients, each a thread. ``paused()`` waits until none of them has a request under way."""

    def __init__(self, url: str, record: Record, products: list[int], secret_key: str, admin: dict[str, str]) -> None:
        address = urlsplit(url)
        self.host, self.port = address.hostname or "127.0.0.1", address.port or 80
        self.record = record
        # the last ones are for price changes alone: what was paid for the others stays the same
        self.products, self.priced = products[:-6], products[-6:]
        self.vouching = {"X-API-Key": secret_key}
        self.admin = admin
        self.samples: list[Sample] = []
        self.given_up: list[str] = []
        # users whose purchases were accepted, with what they bought
        self.bought: dict[str, set[int]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._end = threading.Event()
        self._busy: dict[threading.Thread, bool] = {}

    def start(self) -> None:
        """Start the clients."""
        work: tuple[Callable[[random.Random], None], ...] = (
            *(self.send_event,) * 3,
            *(self.buy,) * 2,
            *(self.look,) * 3,
            self.change_price,
        )
        for number, step in enumerate(work):
            thread = threading.Thread(target=self._run, args=(step, random.Random(number)), daemon=True)
            self._busy[thread] = False
            thread.start()
        self._go.set()

    def stop(self) -> None:
        """End the clients."""
        self._end.set()
        self._go.set()
        for thread in self._busy:
            thread.join(PATIENCE_S + CLIENT_TIMEOUT_S)

    @contextmanager
    def paused(self, timeout_s: float = PATIENCE_S + CLIENT_TIMEOUT_S) -> Iterator[None]:
        """Let the clients finish what they are doing, and hold them for the block. Raises TimeoutError."""
        self._go.clear()
        deadline = time.monotonic() + timeout_s
        try:
            while any(self._busy.values()):
                if time.monotonic() > deadline:
                    raise TimeoutError("The clients did not come to rest.")
                time.sleep(0.02)
            yield
        finally:
            self._go.set()

    def _run(self, step: Callable[[random.Random], None], chance: random.Random) -> None:
        thread = threading.current_thread()
        while not self._end.is_set():
            self._busy[thread] = False
            self._go.wait()
            self._busy[thread] = True
            if self._go.is_set() and not self._end.is_set():
                step(chance)
                self._busy[thread] = False
                time.sleep(chance.uniform(0.02, 0.08))
        self._busy[thread] = False

    # what they do

    def send_event(self, chance: random.Random) -> None:
        """Send an event until it is accepted, always under the same id."""
        product = chance.choice(self.products)
        kind = chance.choice(("view", "view", "view", "add_to_cart", "purchase"))
        user = f"chaos-{chance.randrange(USERS)}"
        event = {
            "event_id": str(uuid7()),
            "user_id": user,
            "product_id": product,
            "event_type": kind,
        }
        # purchases are reported by the shop's server, whose word counts in full
        headers = self.vouching if kind == "purchase" else {}
        self.record.sent("event", **event)
        if self._until("event", "POST", "/events", event, headers) is None:
            return
        self.record.accepted("event", **event)
        if kind == "purchase":
            with self._lock:
                self.bought.setdefault(user, set()).add(product)
        if chance.random() < AGAIN:
            self.request("event again", "POST", "/events", event, headers)

    def send_large_event(self) -> bool:
        """Send an event with as much metadata as one may have, once; return whether it was accepted."""
        event = {
            "event_id": str(uuid7()),
            "user_id": "chaos-large",
            "product_id": self.products[0],
            "event_type": "view",
        }
        self.record.sent("event", **event)
        accepted = self.request("large event", "POST", "/events", event | {"metadata": LARGE}).status == 202
        if accepted:
            self.record.accepted("event", **event)
        return accepted

    def buy(self, chance: random.Random) -> None:
        """Fill the cart of a new shopper and buy it, repeating with the same keys until it is bought."""
        user = f"buyer-{next(self._numbers)}"
        item = {"product_id": chance.choice(self.products), "quantity": chance.randint(1, 3)}
        self.record.sent("order", user_id=user, **item)
        query = f"?user_id={user}"
        key = {"Idempotency-Key": f"{user}-cart"}
        if self._until("cart", "POST", f"/cart/items{query}", item, key) is None:
            return
        key = {"Idempotency-Key": f"{user}-checkout"}
        reply = self._until("checkout", "POST", f"/cart/checkout{query}", {}, key)
        if reply is not None:
            self.record.accepted("order", user_id=user, order_id=reply.json()["id"])

    def look(self, chance: random.Random) -> None:
        """Read something."""
        user, product = f"chaos-{chance.randrange(USERS)}", chance.choice(self.products)
        path = chance.choice(
            (
                f"/recommendations?user_id={user}&k=5",
                f"/recommendations?user_id={user}&k=5",
                f"/recommendations?k=5&user_id=visitor-{chance.randrange(10**6)}",
                f"/products/{product}",
                f"/products/{chance.choice(self.priced)}",
                "/products?page_size=3&search=lantern",
                f"/similar-products?product_id={product}&k=5",
                "/trending?k=5",
                f"/cart?user_id={user}",
                f"/recently-viewed?user_id={user}&k=3",
            )
        )
        self.request(READS, "GET", path)

    def change_price(self, chance: random.Random) -> None:
        """Give a product a new price, until that is confirmed; then rest, as staff do."""
        product, price = chance.choice(self.priced), f"{chance.randint(100, 99_999) / 100:.2f}"
        self.record.sent("price", product_id=product, price=price)
        body = {"price": float(price)}
        if self._until("price", "PATCH", f"/products/{product}", body, self.admin) is not None:
            self.record.accepted("price", product_id=product, price=price)
        time.sleep(0.5)

    def _until(
        self, kind: str, method: str, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> Reply | None:
        first = time.monotonic()
        deadline = first + PATIENCE_S
        while not self._end.is_set():
            reply = self.request(kind, method, path, body, headers, first=first)
            if 200 <= reply.status < 300:
                return reply
            if time.monotonic() > deadline:
                break
            time.sleep(RETRY_S)
        with self._lock:
            self.given_up.append(f"{method} {path}")
        return None

    def request(
        self,
        kind: str,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        first: float | None = None,
    ) -> Reply:
        """Send a request and remember how it went. ``first`` is when its first attempt began, if it is repeated."""
        began = time.monotonic()
        reply = send(self.host, self.port, method, path, body, headers)
        with self._lock:
            ended = time.monotonic()
            self.samples.append(
                Sample(kind, began if first is None else first, began, ended, reply, f"{method} {path}")
            )
        return reply


def send(
    host: str, port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Reply:
    """Return the answer to a request on a connection of its own; status 0 if none comes within CLIENT_TIMEOUT_S."""
    connection = http.client.HTTPConnection(host, port, timeout=CLIENT_TIMEOUT_S)
    try:
        fields = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, orjson.dumps(body) if body is not None else None, fields | (headers or {}))
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(), answer.headers.get("Retry-After"))
    except (OSError, http.client.HTTPException):
        return Reply(0, b"", None)
    finally:
        connection.close()
