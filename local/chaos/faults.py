"""The faults: what is broken, and how it is mended."""

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from local.chaos.driver import Driver
from local.chaos.system import FUNCTIONS, SERVICES, System
from shared import messages
from shared.domain.events import uuid7

Break = Callable[[System, Driver, float], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """What is broken, and how.

    ``inject(system, driver, seconds)`` breaks something for so long, mends it, and then runs its block.
    ``needs`` names the disk without which it is skipped. ``stops_functions``: readers wait for a process that does not
    run, so that no limit of a statement bounds their wait.
    """

    name: str
    what: str
    inject: Break = field(repr=False)
    needs: str = ""
    stops_functions: bool = False


def killed(*names: str) -> Break:
    """Kill parts, once."""

    @contextmanager
    def inject(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
        for name in names:
            system.kill(name)
        time.sleep(min(seconds, 1.0))
        yield

    return inject


def stopped(name: str) -> Break:
    """Stop a part's processes without ending them."""

    @contextmanager
    def inject(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
        system.pause(name)
        try:
            time.sleep(seconds)
        finally:
            system.resume(name)
        yield

    return inject


def silent(*names: str) -> Break:
    """Let no byte pass between functions and a service."""

    @contextmanager
    def inject(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
        for name in names:
            system.proxies[name].silence()
        try:
            time.sleep(seconds)
        finally:
            for name in names:
                system.proxies[name].heal()
        yield

    return inject


def refused(*names: str) -> Break:
    """Refuse connections to a service."""

    @contextmanager
    def inject(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
        for name in names:
            system.proxies[name].refuse()
        try:
            time.sleep(seconds)
        finally:
            for name in names:
                system.proxies[name].heal()
        yield

    return inject


def slow(name: str, delay_s: float) -> Break:
    """Delay every answer of a service."""

    @contextmanager
    def inject(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
        system.proxies[name].delay(delay_s)
        try:
            time.sleep(seconds)
        finally:
            system.proxies[name].heal()
        yield

    return inject


def locked(*tables: str) -> Break:
    """Hold tables under a lock that readers wait for too, as a careless migration would."""

    @contextmanager
    def inject(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
        with system.database() as connection:
            connection.run("BEGIN")
            connection.run("SET LOCAL lock_timeout = '20s'")
            connection.run(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)
            connection.run("ROLLBACK")
        yield

    return inject


def full(name: str) -> Break:
    """Fill a service's disk. Large events use up what the service has left of its own files."""

    @contextmanager
    def inject(system: System, driver: Driver, seconds: float) -> Iterator[None]:
        ends = time.monotonic() + seconds
        with system.full_disk(name):
            while time.monotonic() < ends and driver.send_large_event():
                pass
            time.sleep(max(0.0, ends - time.monotonic()))
        yield

    return inject


@contextmanager
def restarted(system: System, _driver: Driver, _seconds: float) -> Iterator[None]:
    """Stop the whole system and start it again."""
    system.restart()
    yield


@contextmanager
def strange_messages(system: System, driver: Driver, seconds: float) -> Iterator[None]:
    """Deliver events twice, late, in the wrong order, and messages that can never take effect."""
    deadline = time.monotonic() + seconds
    number = 0
    while time.monotonic() < deadline:
        number += 1
        user = f"chaos-{number % 20}"
        now = datetime.now(UTC)
        sent = [
            {
                "event_id": str(uuid7()),
                "product_id": driver.products[(number + position) % len(driver.products)],
                "event_type": "view",
                "timestamp": (now - timedelta(hours=hours)).isoformat(),
                "session_id": None,
                "metadata": None,
            }
            for position, hours in enumerate((0, 30, 3, 12))
        ]
        for event in sent:
            driver.record.sent("event", user_id=user, **event)
        data, attributes = messages.user_events(user, sent)
        # the same message three times, under different message ids
        for copy in range(3):
            if push(system, data, attributes, f"again-{number}-{copy}") and copy == 0:
                for event in sent:
                    driver.record.accepted("event", user_id=user, **event)
        for name, bad in poison(number).items():
            message_id = f"poison-{number}-{name}"
            if push(system, bad, attributes, message_id):
                driver.record.accepted("poison", message_id=message_id)
        time.sleep(0.2)
    yield


def poison(number: int) -> Mapping[str, bytes]:
    """Return messages that can never take effect, by what is wrong with them."""
    event: dict[str, Any] = {
        "event_id": str(uuid7()),
        "product_id": 10**9 + number,
        "event_type": "view",
        "timestamp": datetime.now(UTC).isoformat(),
        "session_id": None,
        "metadata": None,
    }
    unknown, _attributes = messages.user_events(f"poisoned-{number}", [event])
    deep = b'{"user_id": "u", "events": ' + b"[" * 900 + b"]" * 900 + b"}"
    return {
        "unknown-product": unknown,
        "no-json": b"{",
        "not-utf8": b"\xff\xfe",
        "deep": deep,
        "nul": unknown.replace(b"poisoned-", b"poi\\u0000soned-"),
    }


def push(system: System, data: bytes, attributes: Mapping[str, str], message_id: str) -> bool:
    """Deliver a message as Pub/Sub pushes it; return whether it was acknowledged."""
    from delivery import http

    envelope = {
        "message": {
            "data": base64.b64encode(data).decode(),
            "attributes": dict(attributes),
            "messageId": message_id,
            "publishTime": datetime.now(UTC).isoformat(),
        },
        "subscription": "projects/aisle-local/subscriptions/update_preferences",
    }
    url = f"http://127.0.0.1:{system.ports['events']}/_events/update_preferences?token={system.push_token}"
    try:
        return 200 <= http.post(url, envelope, timeout_s=30).status < 300
    except http.NoAnswer:
        return False


@contextmanager
def jobs_at_once(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
    """Run each job of every minute twice at the same time, and kill the worker in their midst."""
    deadline = time.monotonic() + seconds
    names = ("publish_outbox", "settle_orders", "popular", "trending", "daily_stats")
    while time.monotonic() < deadline:
        threads = [threading.Thread(target=system.run_job, args=(name,)) for name in names for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        system.kill("jobs")
        for thread in threads:
            thread.join()
        time.sleep(1.0)
    yield


@contextmanager
def everything(system: System, _driver: Driver, seconds: float) -> Iterator[None]:
    """Cut all services off, kill all functions and all services, at once."""
    for name in SERVICES:
        system.proxies[name].refuse()
    for name in (*FUNCTIONS, *SERVICES):
        with contextlib.suppress(OSError):
            system.kill(name)
    time.sleep(seconds)
    for name in SERVICES:
        system.proxies[name].heal()
    yield


FAULTS: Final[Mapping[str, Fault]] = {
    fault.name: fault
    for fault in (
        Fault("kill-gateway", "kill -9 of the HTTP functions", killed("gateway"), stops_functions=True),
        Fault("kill-events", "kill -9 of the event functions", killed("events")),
        Fault("jobs-at-once", "each job twice at once, and killed", jobs_at_once),
        Fault("kill-postgres", "kill -9 of PostgreSQL", killed("postgres")),
        Fault("kill-redis", "kill -9 of Redis", killed("redis")),
        Fault("kill-pubsub", "kill -9 of Pub/Sub", killed("pubsub")),
        Fault("stop-gateway", "SIGSTOP of the HTTP functions", stopped("gateway"), stops_functions=True),
        Fault("stop-events", "SIGSTOP of the event functions", stopped("events")),
        Fault("stop-postgres", "SIGSTOP of PostgreSQL", stopped("postgres")),
        Fault("stop-redis", "SIGSTOP of Redis", stopped("redis")),
        Fault("stop-pubsub", "SIGSTOP of Pub/Sub", stopped("pubsub")),
        Fault("silent-postgres", "no byte to or from PostgreSQL", silent("postgres")),
        Fault("silent-redis", "no byte to or from Redis", silent("redis")),
        Fault("silent-pubsub", "no byte to or from Pub/Sub", silent("pubsub")),
        Fault("refused-postgres", "PostgreSQL refuses connections", refused("postgres")),
        Fault("refused-redis", "Redis refuses connections", refused("redis")),
        Fault("refused-pubsub", "Pub/Sub refuses connections", refused("pubsub")),
        Fault("slow-postgres", "each answer of PostgreSQL 0.2 s late", slow("postgres", 0.2)),
        Fault("slow-redis", "each answer of Redis 0.5 s late", slow("redis", 0.5)),
        Fault("locked-products", "the table of products locked", locked("products")),
        Fault("locked-events", "the tables of events locked", locked("event_ids", "events")),
        Fault("locked-orders", "the tables of carts and orders locked", locked("cart_items", "orders")),
        Fault("full-postgres", "PostgreSQL's disk full", full("postgres"), needs="postgres"),
        Fault("full-pubsub", "Pub/Sub's disk full", full("pubsub"), needs="pubsub"),
        Fault("messages", "messages twice, late, in the wrong order, and poison", strange_messages),
        Fault("everything", "all parts killed and cut off at once", everything, stops_functions=True),
        Fault("restart", "the whole system stopped and started", restarted, stops_functions=True),
    )
}
# of several kinds the quickest, for a test
SHORT: Final = ("kill-events", "kill-redis", "messages")
