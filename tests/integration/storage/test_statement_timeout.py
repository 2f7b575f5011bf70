"""A statement that takes too long is answered with 503 and a hint, and does not take the database from the others."""

import pytest

from shared.clients import postgres
from shared.errors import DatabaseUnavailable, StatementTimeout
from tests.integration.conftest import settings_of

SLOW = "SELECT pg_sleep(2)"


def run(way: str) -> None:
    if way == "transaction":
        with postgres.transaction() as connection:
            postgres.execute(connection, SLOW)
    else:
        getattr(postgres, way)(SLOW)


@pytest.mark.parametrize("way", ["read", "write", "run_prepared", "transaction"])
def test_a_slow_statement_is_cancelled_and_others_go_on(env: dict[str, str], way: str) -> None:
    with settings_of(env | {"STATEMENT_TIMEOUT_S": "0.1"}):
        with pytest.raises(StatementTimeout, match="Ask for less") as raised:
            run(way)
        assert isinstance(raised.value, DatabaseUnavailable)
        assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "5"})
        # below the limit, and without the breaker's pause
        assert postgres.read("SELECT 1 FROM pg_sleep(0.01)")[0][0] == 1
        with postgres.transaction() as connection:
            assert postgres.execute(connection, "SELECT 2")[0][0] == 2


def test_an_error_does_not_show_its_parameters(env: dict[str, str]) -> None:
    with pytest.raises(Exception, match="division by zero") as raised:
        postgres.read("SELECT 1 / 0, cast(:secret AS text)", secret="a plum in the rain")
    assert "plum" not in str(raised.value)
