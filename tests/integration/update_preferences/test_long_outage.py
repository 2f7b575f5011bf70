"""The rehearsal of a long outage: the database is away for an hour, and every accepted event is applied once.

The parts are those of `./aisle up`: the function `events`, the local Pub/Sub with the subscriptions of functions.yaml,
and the worker that runs the event functions. Pub/Sub's back-offs are TIME_FACTOR times shorter.
"""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import httpx
import orjson
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1

from local import topics
from local.apps import create
from local.pubsub import PubSubServer
from local.worker import Events
from shared.clients import postgres
from shared.errors import DatabaseUnavailable
from shared.manifest import manifest
from tests.integration.conftest import Serve, settings_of
from tests.integration.shop import add_products

OUTAGE_S = 3600
TIME_FACTOR = 450
USERS = 5
TOKEN = "push-token"
# the attempts of earlier releases
FEW_ATTEMPTS = 5


class Gate:
    """A TCP proxy in front of the database; while it is closed, nothing answers at its port."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        assert self._listener is not None
        for connection in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            self._connections += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Worker(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A caller that hangs up is no event here."""


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are no events here."""


@contextlib.contextmanager
def served(app: Callable[..., Any]) -> Iterator[str]:
    with Worker(("127.0.0.1", 0), Quiet) as server:
        server.set_app(app)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def gate(env: dict[str, str]) -> Iterator[Gate]:
    """The way to the database, open; this process uses it, and a Pub/Sub of the test's own."""
    add_products()
    address = urlsplit(env["DATABASE_URL"])
    assert address.port
    gate = Gate(address.port)
    gate.open()
    changed = {"DATABASE_URL": env["DATABASE_URL"].replace(f":{address.port}/", f":{gate.port}/")}
    with (
        PubSubServer(time_factor=TIME_FACTOR) as server,
        settings_of(env | changed | {"PUBSUB_EMULATOR_HOST": server.address}),
    ):
        yield gate
    gate.close()


def letters(subscriber: Any, name: str) -> list[dict[str, Any]]:
    """Return the bodies of the messages that wait in a pull subscription."""
    path = subscriber.subscription_path("aisle-local", name)
    try:
        answer = subscriber.pull(subscription=path, max_messages=1000, timeout=2, retry=None)
    except exceptions.DeadlineExceeded:
        return []
    return [orjson.loads(received.message.data) for received in answer.received_messages]


def test_an_hour_without_the_database_loses_no_event(gate: Gate, env: dict[str, str], serve: Serve) -> None:
    worker = Events(manifest(), create, TOKEN)
    for name in worker.entries:
        worker.app(name)
    with served(worker) as url, pubsub_v1.SubscriberClient() as subscriber:
        topics.ensure(manifest(), f"{url}/_events", env, TOKEN)
        few = add_control(subscriber, f"{url}/_events/update_preferences?token={TOKEN}")
        events = serve("events")
        gate.close()
        begun = time.monotonic()
        accepted = [event for user in range(USERS) for event in send(events, f"u{user}")]
        time.sleep(max(0.0, begun + OUTAGE_S / TIME_FACTOR - time.monotonic()))
        gate.open()
        deadline = time.monotonic() + 90
        while not is_applied(len(accepted)):
            assert time.monotonic() < deadline, stored()
            time.sleep(0.1)
        # a last redelivery would have come by now
        time.sleep(120 / TIME_FACTOR)
        assert stored() == sorted(accepted)
        assert counted() == USERS
        for topic in manifest().topics:
            assert letters(subscriber, f"{topic}-dead-letter") == []
        # the same outage with few attempts; on a busy machine some of its messages have had fewer
        assert {letter["user_id"] for letter in letters(subscriber, few)} & {f"u{user}" for user in range(USERS)}
        delete_subscriptions(subscriber)


def send(events: httpx.Client, user: str) -> list[tuple[str, int, str]]:
    """Send a batch of a user's events; return them as ``stored`` does."""
    sent = [("view", 1), ("view", 2), ("purchase", 1)]
    batch = [{"user_id": user, "product_id": product, "event_type": kind} for kind, product in sent]
    answer = events.post("/events/batch", json={"events": batch})
    assert (answer.status_code, answer.json()["accepted"]) == (202, len(sent)), answer.text
    return [(user, product, kind) for kind, product in sent]


def is_applied(events: int) -> bool:
    try:
        return len(stored()) >= events and counted() >= USERS
    except DatabaseUnavailable:
        # a request that failed a moment ago keeps the others from the database for a second
        return False


def stored() -> list[tuple[str, int, str]]:
    sql = "SELECT u.external_id, e.product_id, e.event_type FROM events e JOIN users u ON u.id = e.user_id"
    return sorted((row[0], row[1], row[2]) for row in postgres.read(sql))


def counted() -> int:
    """Return the number of purchases that `update_popularity` looked at, once each."""
    return int(postgres.read("SELECT count(*) FROM counted_purchases")[0][0])


def add_control(subscriber: Any, endpoint: str) -> str:
    """Add a subscription with FEW_ATTEMPTS; return the name of the one that holds its dead letters."""
    entry = manifest().entries["update_preferences"]
    publisher = pubsub_v1.PublisherClient()
    dead = publisher.topic_path("aisle-local", "few-dead-letter")
    publisher.create_topic(name=dead)
    waiting = subscriber.subscription_path("aisle-local", "few-dead-letter")
    subscriber.create_subscription(name=waiting, topic=dead)
    control = topics.push(
        entry,
        subscriber.subscription_path("aisle-local", "few"),
        publisher.topic_path("aisle-local", entry.topic),
        dead,
        endpoint,
    )
    control["dead_letter_policy"]["max_delivery_attempts"] = FEW_ATTEMPTS
    subscriber.create_subscription(request=control)
    publisher.stop()
    publisher.transport.close()
    return "few-dead-letter"


def delete_subscriptions(subscriber: Any) -> None:
    """Delete all subscriptions: the worker that they push to ends."""
    for subscription in subscriber.list_subscriptions(project="projects/aisle-local"):
        subscriber.delete_subscription(subscription=subscription.name)
