"""Integration tests run against the real PostgreSQL, Redis and Pub/Sub, and serve functions as they are deployed.

* ``services``    the running services, once per session
* ``env``         a migrated, empty database, an empty cache and the settings that lead there, new for each test
* ``module_env``  the same, new for each module, for tests that only read
* ``serve``       ``serve("products")`` is an HTTP client of the function or job, made by ``create_app``
* ``one_window``  all requests lie in one window of the rate limit
* ``messages``    ``take = messages("user-events")``; later ``take()`` are the messages published since
"""

import asyncio
import itertools
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from local import postgres
from local.services import Services
from local.state import State
from local.topics import DEAD_LETTER
from shared.manifest import manifest
from tests.integration.people import ADMIN_TOKEN, PUBLIC_URL
from tests.integration.shop import begin_test
from tests.memory import folder_in_memory
from tests.run_logs import RunLogs, searched

Environment = dict[str, str]
Serve = Callable[[str], httpx.Client]
Messages = Callable[[str], Callable[..., list[Any]]]
TEMPLATE = "template_migrated"
# read once: certificates take longer to read than most tests
TLS = httpx.create_ssl_context()
# Seconds that requests and background tasks of a test's server have to end.
GRACE_S = 2.0
# Rounds of a loop in which aborted connections are closed; two are enough.
CLOSING_ROUNDS = 5
log = logging.getLogger(__name__)
_numbers = itertools.count(1)


@contextmanager
def settings_of(environment: Environment) -> Iterator[None]:
    """Apply settings to this process, and reset its clients before and after."""
    from shared.clients import reset

    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    reset()
    try:
        yield
    finally:
        reset()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class Running:
    """The session's services, and clean databases on them."""

    def __init__(self, state: State, services: Services) -> None:
        self.state = state
        self.environment = services.environment
        self.postgres = services.parts[0]
        self.redis = services.parts[1]
        self.pubsub = services.parts[2]

    @property
    def password(self) -> str:
        return self.state.secret("postgres")

    def url(self, database: str) -> str:
        return postgres.url(self.postgres.port or 0, self.password, database)

    def administrate(self, *statements: str) -> None:
        """Run statements outside any transaction and any of the tests' databases."""
        with postgres.connection(self.postgres.port or 0, self.password) as connection:
            for statement in statements:
                connection.run(statement)

    def make_template(self) -> None:
        """Migrate the database that is the template of every clean one."""
        from shared.storage.schema.migrations import migrate

        self.administrate(f"CREATE DATABASE {TEMPLATE}")
        with settings_of(self.environment | {"DATABASE_URL": self.url(TEMPLATE)}):
            migrate(lambda _line: None)

    def make_topics(self) -> None:
        """Create the topics without subscriptions."""
        from google.cloud import pubsub_v1

        publisher = pubsub_v1.PublisherClient()
        for name in manifest().topics:
            for full in (name, name + DEAD_LETTER):
                publisher.create_topic(name=publisher.topic_path(self.environment["GOOGLE_CLOUD_PROJECT"], full))
        publisher.stop()
        publisher.transport.close()

    @contextmanager
    def clean(self) -> Iterator[Environment]:
        """Yield the settings of an empty, migrated database and an empty cache."""
        from redis import Redis

        database = f"test_{next(_numbers)}"
        self.administrate(f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        with Redis.from_url(self.environment["REDIS_URL"]) as cache:
            cache.flushdb()
        environment = self.environment | {"DATABASE_URL": self.url(database)}
        try:
            with settings_of(environment):
                yield environment
        finally:
            self.administrate(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture(autouse=True)
def one_moment() -> None:
    """The test happens at one moment, which is the present: see shop.now."""
    begin_test()


@pytest.fixture(scope="session", autouse=True)
def run_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunLogs]:
    """The logs of the whole run; after the last test, when all services have stopped, no secret may be in them."""
    with searched(tmp_path_factory.getbasetemp()) as logs:
        logs.add(ADMIN_TOKEN)
        yield logs


@pytest.fixture(scope="session")
def services(run_logs: RunLogs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The services of this session, on ports and in a folder of their own; stopped at its end."""
    folder = tmp_path_factory.mktemp("services")
    own = {name: os.environ[name] for name in ("AISLE_PUBSUB", "PATH", "JAVA_HOME") if name in os.environ}
    # each test has a new database: a thousand files
    with ExitStack() as stack:
        state = State.create(stack.enter_context(folder_in_memory(otherwise=folder)) / "state")
        # after the run, the logs are searched for the secrets of the state
        (folder / "logs").mkdir()
        (state.home / "logs").symlink_to(folder / "logs")
        stack.callback(lambda: shutil.copy(state.home / "state.json", folder))
        started = stack.enter_context(Services(state, durable=False, own=own))
        started.environment["ADMIN_TOKEN"] = ADMIN_TOKEN
        started.environment["PUBLIC_URL"] = PUBLIC_URL
        running = Running(state, started)
        with settings_of(running.environment):
            running.make_template()
            running.make_topics()
        yield running


@pytest.fixture
def env(services: Running) -> Iterator[Environment]:
    """Settings of a clean database and cache, applied to this process."""
    with services.clean() as environment:
        yield environment


@pytest.fixture(scope="module")
def module_env(services: Running) -> Iterator[Environment]:
    """Settings of a database and cache that are clean when the module's first test begins."""
    with services.clean() as environment:
        yield environment


class Server(threading.Thread):
    """An ASGI application served by uvicorn, as deployed, in a thread."""

    def __init__(self, app: Any) -> None:
        import uvicorn

        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
        self.server = uvicorn.Server(config)
        # its own loop looks ten times a second whether it should end; hundreds of servers would wait for that
        self.server.main_loop = self.until_stop  # type: ignore[method-assign]
        # and waits for a tenth of a second after it has asked the connections to close
        self.server.shutdown = self.close_connections  # type: ignore[method-assign]
        self.stop_requested = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        uvloop.run(self.until_stopped())

    async def until_stopped(self) -> None:
        """Serve, then close the connections of this loop: a loop does not close while a connection is open."""
        from shared.clients import redis_async

        self.loop = asyncio.get_running_loop()
        await self.server.serve(sockets=[self.socket])
        # what goes on beside requests, such as the sum of the rate limits, opens connections too
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=GRACE_S)
        redis_async.close()
        # aborted in the loop's next round, and closed in the one after it
        for _ in range(CLOSING_ROUNDS):
            await asyncio.sleep(0)

    async def close_connections(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Accept nothing more, close each connection once its request is answered, and cancel what lasts longer."""
        for server in self.server.servers:
            server.close()
        state = self.server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        deadline = time.monotonic() + GRACE_S
        while (state.connections or state.tasks) and time.monotonic() < deadline:
            await asyncio.sleep(0.001)
        for task in state.tasks:
            log.warning("a request did not end within %s s of its test: %r", GRACE_S, task)
            task.cancel()

    async def until_stop(self) -> None:
        """Wait for the request to stop; set the default headers once."""
        await self.server.on_tick(0)
        await self.stop_requested.wait()

    def __enter__(self) -> "Server":
        self.start()
        deadline = time.monotonic() + 60
        while not self.server.started:
            assert self.is_alive(), "uvicorn ended"
            assert time.monotonic() < deadline, "uvicorn did not start"
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.stop_requested.set)
        self.join()
        self.socket.close()


def as_operator(app: Any) -> Any:
    """Return a job's WSGI application that may read files of this machine, as those of `./aisle job` may."""
    from shared.clients import sources

    def run(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with sources.local_files(allowed=True):
            return list(app(environ, start_response))

    return run


@pytest.fixture
def serve(run_logs: RunLogs) -> Iterator[Serve]:
    """Returns a client of a function or job by its name; ask for ``env`` or ``module_env`` beside it."""
    from local.apps import create

    hooks: dict[str, list[Callable[..., Any]]] = {"response": [run_logs.remember]}
    with ExitStack() as stack:

        def client(target: str) -> httpx.Client:
            app = create(target)
            if manifest().entries[target].kind in ("http", "edge"):
                server = stack.enter_context(Server(app))
                return stack.enter_context(httpx.Client(base_url=server.url, timeout=30, verify=TLS, event_hooks=hooks))
            return stack.enter_context(
                httpx.Client(
                    transport=httpx.WSGITransport(as_operator(app)),
                    base_url="http://function",
                    verify=TLS,
                    event_hooks=hooks,
                )
            )

        yield client


@pytest.fixture
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests of the test lie in one window of the rate limit: a busy machine may take longer than a minute."""
    from shared.http import limits

    monkeypatch.setattr(limits, "WINDOW_S", 86_400)


@pytest.fixture
def messages(services: Running) -> Iterator[Messages]:
    """Returns ``listen(topic)``, whose ``take(expected=1)`` waits for that many messages published since."""
    from google.cloud import pubsub_v1

    project = services.environment["GOOGLE_CLOUD_PROJECT"]
    with settings_of(services.environment):
        subscriber = pubsub_v1.SubscriberClient()
    subscriptions = []

    def listen(topic: str) -> Callable[..., list[Any]]:
        path = subscriber.subscription_path(project, f"test-{next(_numbers)}")
        subscriber.create_subscription(name=path, topic=subscriber.topic_path(project, topic))
        subscriptions.append(path)

        def take(expected: int = 1, timeout_s: float = 5) -> list[Any]:
            messages: list[Any] = []
            deadline = time.monotonic() + timeout_s
            while len(messages) < expected and time.monotonic() < deadline:
                answer = subscriber.pull(subscription=path, max_messages=1000, timeout=timeout_s)
                if answer.received_messages:
                    messages += [received.message for received in answer.received_messages]
                    ids = [received.ack_id for received in answer.received_messages]
                    subscriber.acknowledge(subscription=path, ack_ids=ids)
            return messages

        return take

    yield listen
    for path in subscriptions:
        subscriber.delete_subscription(subscription=path)
    subscriber.close()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cloud_sql_users(services: Running) -> Iterator[tuple[str, ...]]:
    """Add Cloud SQL's roles and users to the server.

    The server trusts them without a password, because the proxy in front of Cloud SQL has authenticated them.
    """
    from tests.integration import cloud_sql_server

    services.administrate(
        "CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEROLE CREATEDB",
        *(f'CREATE ROLE "{user}" LOGIN' for user in cloud_sql_server.USERS),
        f'GRANT cloudsqlsuperuser TO "{cloud_sql_server.MIGRATOR}"',
    )
    rules = postgres.data_folder(services.state) / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("".join(f'host all "{user}" 127.0.0.1/32 trust\n' for user in cloud_sql_server.USERS) + before)
    services.administrate("SELECT pg_reload_conf()")
    yield cloud_sql_server.USERS
    rules.write_text(before)
    services.administrate(
        "SELECT pg_reload_conf()",
        "DROP ROLE IF EXISTS aisle_owner",
        "DROP ROLE IF EXISTS aisle_jobs",
        "DROP ROLE IF EXISTS aisle_app",
        *(f'DROP ROLE "{user}"' for user in cloud_sql_server.USERS),
        "DROP ROLE cloudsqlsuperuser",
    )
