"""One route whose statements hang leaves connections, and threads, to the other routes."""

import contextvars
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

from shared.clients import bulkhead, postgres
from shared.clients.postgres import execute, read, transaction, write
from shared.errors import DatabaseUnavailable
from tests.integration.conftest import settings_of

T = TypeVar("T")
STALLING, OTHER = "GET /stalling", "GET /other"
LOCKED = "SELECT id FROM things FOR UPDATE"


@pytest.fixture
def locked(env: dict[str, str]) -> Iterator[threading.Event]:
    """A row that another session locks until the event is set; this process has three connections."""
    write("CREATE TABLE things (id bigint)")
    write("INSERT INTO things VALUES (1)")
    unlock, ready = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction() as connection:
            execute(connection, LOCKED)
            ready.set()
            unlock.wait(60)

    settings = env | {"DATABASE_POOL_SIZE": "4", "DATABASE_TIMEOUT_S": "30", "STATEMENT_TIMEOUT_S": "40"}
    with settings_of(settings), ThreadPoolExecutor(1) as holder:
        held = holder.submit(hold)
        assert ready.wait(30)
        yield unlock
        unlock.set()
        held.result(30)


def serve(pool: ThreadPoolExecutor, route: str | None, sql: str) -> "Future[int | DatabaseUnavailable]":
    """Run a statement in a thread, for a request of this route."""

    def run() -> int | DatabaseUnavailable:
        if route is not None:
            bulkhead.serve_route(route)
        try:
            return len(read(sql))
        except DatabaseUnavailable as error:
            return error

    return pool.submit(contextvars.copy_context().run, run)


def test_a_stalled_route_leaves_a_connection_to_the_others(locked: threading.Event) -> None:
    with ThreadPoolExecutor(12) as pool:
        # one connection of four holds the lock; the route may have three, and one thing of it must wait
        share = bulkhead.share_of(4)
        assert share == 3
        stalled = [serve(pool, STALLING, LOCKED) for _ in range(share - 1)]
        time.sleep(0.5)
        assert serve(pool, OTHER, "SELECT 1").result(10) == 1
        assert serve(pool, None, "SELECT 1").result(10) == 1
        assert not any(future.done() for future in stalled)
        locked.set()
        assert [future.result(30) for future in stalled] == [1] * len(stalled)


def test_a_stalled_route_is_refused_at_once_and_serves_again_afterwards(
    locked: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "share_of", lambda _size: 2)
    postgres.bulkhead.cache_clear()
    with ThreadPoolExecutor(20) as pool:
        requests = [serve(pool, STALLING, LOCKED) for _ in range(2 + bulkhead.STALLED_WAITERS + 4)]
        began = time.monotonic()
        while sum(future.done() for future in requests) < 4:
            # below DATABASE_TIMEOUT_S by far: they need not wait for it
            assert time.monotonic() - began < bulkhead.STALLED_S + 10
            time.sleep(0.05)
        # who comes now is refused without any wait, and the other route is served
        assert isinstance(serve(pool, STALLING, "SELECT 1").result(5), DatabaseUnavailable)
        assert serve(pool, OTHER, "SELECT 1").result(10) == 1
        refusals = [future.result() for future in requests if future.done()]
        retry_after = [error.headers["Retry-After"] for error in refusals if isinstance(error, DatabaseUnavailable)]
        assert retry_after == ["2"] * len(refusals) == ["2"] * 4
        locked.set()
        assert [future.result(30) for future in requests].count(1) == 2 + bulkhead.STALLED_WAITERS
        assert serve(pool, STALLING, "SELECT 1").result(10) == 1


def test_many_short_requests_of_a_route_are_all_served(env: dict[str, str]) -> None:
    with settings_of(env | {"DATABASE_POOL_SIZE": "2", "DATABASE_TIMEOUT_S": "30"}), ThreadPoolExecutor(20) as pool:
        assert [serve(pool, OTHER, "SELECT 1 FROM pg_sleep(0.01)").result(30) for _ in range(40)] == [1] * 40


def test_a_request_that_holds_a_connection_may_take_a_second_one(env: dict[str, str]) -> None:
    def nested() -> int:
        bulkhead.serve_route(OTHER)
        with transaction() as connection:
            execute(connection, "SELECT 1")
            return len(read("SELECT 1"))

    # the share is one connection
    with settings_of(env | {"DATABASE_POOL_SIZE": "2", "DATABASE_TIMEOUT_S": "5"}):
        assert contextvars.copy_context().run(nested) == 1


@pytest.mark.parametrize(("size", "share"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (6, 4), (10, 7)])
def test_the_share_of_a_route(size: int, share: int) -> None:
    assert bulkhead.share_of(size) == share
