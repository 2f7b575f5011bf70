"""What is the server's trouble is 503 with Retry-After and never 500; the statement's own fault stays an error."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.clients import postgres_errors
from shared.clients.postgres import execute, read, run_prepared, transaction, write
from shared.errors import DatabaseBusy, DatabaseUnavailable, StatementTimeout

PATIENCE_S = 2.0
Ways = dict[str, Callable[[str], object]]
RAISE = """
CREATE FUNCTION fail(state text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'as the server does' USING ERRCODE = state; END $$"""


def in_transaction(sql: str) -> object:
    with transaction() as connection:
        return execute(connection, sql)


WAYS: Ways = {"read": read, "write": write, "run_prepared": run_prepared, "transaction": in_transaction}


@pytest.fixture(autouse=True)
def things(env: dict[str, str]) -> None:
    write("CREATE TABLE things (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0)")
    write("INSERT INTO things VALUES (1), (2)")
    write(RAISE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("state", "error", "retry_after"),
    [
        ("57014", StatementTimeout, "5"),
        ("53100", DatabaseUnavailable, "30"),
        ("53200", DatabaseUnavailable, "30"),
        ("58030", DatabaseUnavailable, "30"),
        ("55P03", DatabaseBusy, "2"),
        ("40P01", DatabaseBusy, "1"),
        ("40001", DatabaseBusy, "1"),
    ],
)
def test_a_trouble_of_the_server_is_503(
    way: str, state: str, error: type[DatabaseUnavailable], retry_after: str
) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        WAYS[way](f"SELECT fail('{state}')")
    assert type(raised.value) is error
    assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": retry_after})
    # the connection works, and others do not wait for the breaker
    assert WAYS[way]("SELECT 1")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", ["23505", "42501", "22012", "54001"])
def test_a_fault_of_the_statement_stays_its_error(way: str, state: str) -> None:
    with pytest.raises(Exception, match="as the server does") as raised:
        WAYS[way](f"SELECT fail('{state}')")
    assert not isinstance(raised.value, DatabaseUnavailable)


@pytest.mark.parametrize("state", ["08006", "57P01", "53300", "25006"])
def test_a_server_that_goes_away_opens_the_breaker(state: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        write(f"SELECT fail('{state}')")
    with pytest.raises(DatabaseUnavailable):
        read("SELECT 1")


def test_a_lock_that_is_not_given_is_503(env: dict[str, str]) -> None:
    with transaction() as holder:
        execute(holder, "SELECT FROM things WHERE id = 1 FOR UPDATE")
        with pytest.raises(DatabaseBusy, match="locked"):
            read("SELECT FROM things WHERE id = 1 FOR UPDATE NOWAIT")
        assert len(read("SELECT id FROM things WHERE id = 2 FOR UPDATE NOWAIT")) == 1


UNDONE = "UPDATE things SET n = n + 1 WHERE id = 1 AND (nextval('attempts') > {lost} OR fail('{state}') IS NULL)"


@pytest.fixture
def attempts(things: None) -> Callable[[], int]:
    """Make a sequence, and return a function that returns its last value: it is not rolled back."""
    write("CREATE SEQUENCE attempts")
    return lambda: int(read("SELECT last_value FROM attempts")[0][0])


@pytest.mark.parametrize("state", ["40P01", "40001"])
def test_a_statement_that_the_server_undid_runs_again_and_takes_effect_once(
    state: str, attempts: Callable[[], int]
) -> None:
    write(UNDONE.format(lost=1, state=state))
    assert [tuple(row) for row in read("SELECT id, n FROM things ORDER BY id")] == [(1, 1), (2, 0)]
    assert attempts() == 2


def test_a_statement_that_the_server_undid_twice_is_left_to_the_client(attempts: Callable[[], int]) -> None:
    with pytest.raises(DatabaseBusy):
        write(UNDONE.format(lost=2, state="40P01"))
    assert [tuple(row) for row in read("SELECT id, n FROM things ORDER BY id")] == [(1, 0), (2, 0)]
    assert attempts() == 2


def test_a_statement_that_lost_a_deadlock_lets_the_winner_pass(
    attempts: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement has the first row and waits for the second; the transaction then wants the first one."""
    # for a winner that gets no processor for a while
    monkeypatch.setattr(postgres_errors, "UNDONE_PAUSE_S", PATIENCE_S)
    counted = "UPDATE things SET n = n + 1 FROM (SELECT nextval('attempts')) AS attempt WHERE id IN (1, 2)"
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%attempts%'"
    with ThreadPoolExecutor(1) as pool, transaction() as connection:
        # the statement, with the default of a second, finds the deadlock first
        execute(connection, "SET LOCAL deadlock_timeout = '20s'")
        execute(connection, "UPDATE things SET n = n + 10 WHERE id = 2")
        statement = pool.submit(write, counted)
        while not read(waiting):
            assert not statement.done()
        execute(connection, "UPDATE things SET n = n + 10 WHERE id = 1")
        execute(connection, "COMMIT")
        statement.result(30)
    assert [tuple(row) for row in read("SELECT id, n FROM things ORDER BY id")] == [(1, 11), (2, 11)]
    assert attempts() == 2
