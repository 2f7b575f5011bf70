"""One route whose statements hang leaves connections, and threads, to the other routes."""

import contextvars
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

from shared.clients import bulkhead, postgres_engine
from shared.clients.postgres import execute, read, transaction, write
from shared.errors import DatabaseUnavailable
from tests.integration.conftest import settings_of

T = TypeVar("T")
STALLING, OTHER = "GET /stalling", "GET /other"
LOCKED = "SELECT id FROM things FOR UPDATE"


@pytest.fixture
def locked(env: dict[str, str]) -> Iterator[threading.Event]:
    """A row that a session outside the pool locks until the event is set; this process has four connections."""
    write("CREATE TABLE things (id bigint)")
    write("INSERT INTO things VALUES (1)")
    unlock = threading.Event()
    settings = env | {"DATABASE_POOL_SIZE": "4", "DATABASE_TIMEOUT_S": "30", "STATEMENT_TIMEOUT_S": "40"}
    with settings_of(settings), ThreadPoolExecutor(1) as waiting:
        holder = postgres_engine.connect_apart()
        holder.execute_simple("BEGIN")
        holder.execute_simple(LOCKED)

        def release() -> None:
            unlock.wait(60)
            holder.execute_simple("COMMIT")

        released = waiting.submit(release)
        yield unlock
        unlock.set()
        released.result(30)
        holder.close()


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
        # more than there are connections; those beyond the share wait, and few enough for none to be refused
        stalled = [serve(pool, STALLING, LOCKED) for _ in range(bulkhead.share_of(4) + bulkhead.STALLED_WAITERS)]
        time.sleep(0.5)
        assert serve(pool, OTHER, "SELECT 1").result(10) == 1
        assert serve(pool, None, "SELECT 1").result(10) == 1
        assert not any(future.done() for future in stalled)
        locked.set()
        assert [future.result(30) for future in stalled] == [1] * len(stalled)


def test_a_stalled_route_is_refused_at_once_and_serves_again_afterwards(
    locked: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_engine, "share_of", lambda _size: 2)
    postgres_engine.bulkhead.cache_clear()
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


def test_a_place_that_becomes_free_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # otherwise a waiting request looks again by itself
    monkeypatch.setattr(bulkhead, "STALLED_S", 120.0)
    places = bulkhead.Bulkhead(share=1, wait_s=60.0)
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        bulkhead.serve_route(OTHER)
        with places.hold():
            is_held.set()
            may_end.wait(60)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(contextvars.copy_context().run, hold)
        assert is_held.wait(30)
        is_held.clear()
        second = pool.submit(contextvars.copy_context().run, hold)
        assert not is_held.wait(0.5)
        may_end.set()
        first.result(30)
        second.result(30)


def test_a_thread_that_worked_without_a_route_counts_for_its_next_route() -> None:
    places = bulkhead.Bulkhead(share=1, wait_s=0.2)
    is_held, may_end = threading.Event(), threading.Event()

    def job_and_request() -> None:
        with places.hold(), places.hold():
            pass
        bulkhead.serve_route(OTHER)
        with places.hold():
            is_held.set()
            may_end.wait(60)

    def request() -> None:
        bulkhead.serve_route(OTHER)
        with places.hold():
            pass

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(contextvars.copy_context().run, job_and_request)
        assert is_held.wait(30)
        with pytest.raises(DatabaseUnavailable):
            pool.submit(contextvars.copy_context().run, request).result(30)
        may_end.set()
        first.result(30)


@pytest.mark.parametrize(("size", "share"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (6, 4), (10, 7)])
def test_the_share_of_a_route(size: int, share: int) -> None:
    assert bulkhead.share_of(size) == share
