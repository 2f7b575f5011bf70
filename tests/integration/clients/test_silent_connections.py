"""A Postgres that goes silent, refuses or comes back: no wait without limit, and no connection that stays lost."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.chaos.proxy import Proxy
from shared.clients import postgres_engine, postgres_wire
from shared.clients.postgres import execute, read, run_prepared, transaction, write
from shared.clients.postgres_engine import engine
from shared.errors import DatabaseUnavailable
from tests.faulty_proxy import in_front_of
from tests.integration.conftest import settings_of

# of the socket: the statement's limit and the grace, which these tests shorten
LIMIT_S, GRACE_S = 1.5, 1.0
# for a busy machine; without a deadline the wait has no end
SLACK_S = 5.0


@pytest.fixture
def proxy(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the database, with which this process speaks, and two connections."""
    monkeypatch.setattr(postgres_wire, "GRACE_S", GRACE_S)
    with in_front_of(env["DATABASE_URL"]) as (proxy, url):
        settings = {
            "DATABASE_URL": url,
            "STATEMENT_TIMEOUT_S": str(LIMIT_S),
            "DATABASE_TIMEOUT_S": "3",
            "DATABASE_POOL_SIZE": "2",
        }
        with settings_of(env | settings):
            read("SELECT 1")
            yield proxy


def in_transaction(sql: str) -> object:
    with transaction() as connection:
        return execute(connection, sql)


WAYS: dict[str, Callable[[str], object]] = {
    "read": read,
    "write": write,
    "run_prepared": run_prepared,
    "transaction": in_transaction,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_silent_connection_is_given_up_in_time_and_dropped(proxy: Proxy, way: str) -> None:
    proxy.lose()
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        WAYS[way]("SELECT 1")
    assert LIMIT_S <= time.monotonic() - began < LIMIT_S + GRACE_S + SLACK_S
    # the breaker's pause
    time.sleep(postgres_engine.BREAKER_S)
    assert read("SELECT 2")[0][0] == 2
    assert engine().pool.checkedout() == 0  # type: ignore[attr-defined]  # of the QueuePool


def test_a_pool_of_silent_connections_recovers(proxy: Proxy) -> None:
    def attempt(_number: int) -> bool:
        try:
            return bool(read("SELECT 1 FROM pg_sleep(0.1)"))
        except DatabaseUnavailable:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(attempt, range(2))) == [True, True]
        proxy.lose()
        assert list(pool.map(attempt, range(2))) == [False, False]
        time.sleep(postgres_engine.BREAKER_S)
        assert list(pool.map(attempt, range(2))) == [True, True]


def test_one_broken_connection_has_the_others_replaced(proxy: Proxy) -> None:
    with transaction() as first, transaction() as second:
        pids = {execute(each, "SELECT pg_backend_pid()")[0][0] for each in (first, second)}
    assert len(pids) == 2
    proxy.cut()
    # one error, one repetition: the second connection is not tried, although the pool still holds it
    assert run_prepared("SELECT pg_backend_pid()")[0][0] not in pids
    with transaction() as first, transaction() as second:
        assert not pids & {execute(each, "SELECT pg_backend_pid()")[0][0] for each in (first, second)}


def test_a_server_that_accepts_and_stays_silent_is_unavailable(proxy: Proxy) -> None:
    engine().dispose()
    proxy.stall()
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        read("SELECT 1")
    assert time.monotonic() - began < 3 + SLACK_S
    proxy.heal()
    time.sleep(postgres_engine.BREAKER_S)
    assert read("SELECT 1")[0][0] == 1


def test_a_statement_within_its_limit_is_waited_for(proxy: Proxy) -> None:
    assert read(f"SELECT 1 FROM pg_sleep({LIMIT_S / 2})")[0][0] == 1
    # a job's statement may take longer, and so may its answer
    with transaction(statement_timeout_s=LIMIT_S + GRACE_S + 2) as connection:
        assert execute(connection, f"SELECT 1 FROM pg_sleep({LIMIT_S + GRACE_S + 0.3})")[0][0] == 1
    with transaction(statement_timeout_s=0) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver._usock.gettimeout() is None
    # and the limit is back afterwards
    with transaction() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver._usock.gettimeout() == LIMIT_S + GRACE_S


def test_the_kernel_gives_a_lost_peer_up(proxy: Proxy) -> None:
    with transaction() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        options = {name: driver._usock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in OPTIONS}
        assert driver._usock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert options == OPTIONS


OPTIONS = {
    "TCP_USER_TIMEOUT": postgres_wire.UNACKNOWLEDGED_MS,
    "TCP_KEEPIDLE": postgres_wire.KEEPALIVE_IDLE_S,
    "TCP_KEEPINTVL": postgres_wire.KEEPALIVE_INTERVAL_S,
    "TCP_KEEPCNT": postgres_wire.KEEPALIVE_PROBES,
}


def test_lost_connections_are_found_long_before_their_deadline(env: dict[str, str]) -> None:
    """Requests that wait for a place have the server asked; a statement that the server works on goes on."""
    settings = {"STATEMENT_TIMEOUT_S": "60", "DATABASE_POOL_SIZE": "3", "DATABASE_TIMEOUT_S": "3"}
    with (
        in_front_of(env["DATABASE_URL"]) as (proxy, url),
        settings_of(env | settings | {"DATABASE_URL": url}),
        ThreadPoolExecutor(3) as pool,
    ):
        # two open connections
        assert [len(rows) for rows in pool.map(read, ["SELECT 1 FROM pg_sleep(0.5)"] * 2)] == [1, 1]
        proxy.lose()
        lost = [pool.submit(read, "SELECT 1") for _ in range(2)]
        time.sleep(0.5)
        # over a new connection, the third
        slow = pool.submit(read, "SELECT 1 FROM pg_sleep(15)")
        began = time.monotonic()
        while time.monotonic() - began < 15:
            try:
                read("SELECT 1")
                break
            except DatabaseUnavailable:
                time.sleep(0.2)
        assert not slow.done(), "the places of lost connections stayed taken"
        # who waited for a lost connection was served by another one
        assert [len(future.result(5)) for future in lost] == [1, 1]
        assert len(slow.result(30)) == 1
