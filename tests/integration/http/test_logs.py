"""No log says what is secret or personal: neither ours nor those of Postgres, Redis and Pub/Sub."""

import logging
from collections.abc import Callable

import httpx
import pytest

from shared import passwords
from shared.clients import postgres
from shared.errors import StatementTimeout
from shared.logs import JsonFormatter
from tests.integration.conftest import Running, settings_of
from tests.integration.people import bearer, register

SECRET = "plum-in-the-rain-4711"
PASSWORD = f"{SECRET} and a hat"
Serve = Callable[[str], httpx.Client]


def test_logs_of_a_shop_with_faults_have_no_secrets(
    services: Running, env: dict[str, str], serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = serve("accounts")
    email = f"{SECRET}@example.com"
    body = {"username": "ada", "email": email, "password": PASSWORD}
    tokens = accounts.post("/auth/register", json=body).json()
    assert accounts.post("/auth/register", json=body | {"username": "bob"}).status_code == 409
    assert accounts.post("/auth/login", json={"email": email, "password": PASSWORD + "x"}).status_code == 401
    assert accounts.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200
    hashed = passwords.hash_password(PASSWORD)
    mine = bearer(register(accounts, "other"))
    assert accounts.get("/users/me", headers=mine).status_code == 200
    # faults in every way to run a statement: violated constraints and a cancelled statement
    for statement in (
        "INSERT INTO users (external_id, email, username) VALUES (:secret, :secret, 'ada')",
        "INSERT INTO users (external_id, password_hash) SELECT external_id, :secret FROM users",
    ):
        with pytest.raises(Exception, match="violates"):
            postgres.write(statement, secret=email)
        with pytest.raises(Exception, match="violates"):
            postgres.run_prepared(statement, secret=hashed)
        try:
            postgres.write(statement, secret=email)
        except Exception:
            logging.getLogger("shared.test").exception("a fault")
    with pytest.raises(Exception, match="invalid input syntax for type integer") as invalid:
        # Postgres' own log names a value that is none; ours do not (validation keeps such values away)
        postgres.read("SELECT cast(:secret AS integer)", secret="another-secret")
    assert "another-secret" not in str(invalid.value)
    with settings_of(env | {"STATEMENT_TIMEOUT_S": "0.05"}), pytest.raises(StatementTimeout):
        postgres.read("SELECT pg_sleep(1), cast(:secret AS text)", secret=email)
    formatter = JsonFormatter()
    own = "\n".join(formatter.format(record) for record in caplog.records)
    assert "a fault" in own
    logs = sorted((services.state.home / "logs").glob("*.log*"))
    assert {log.name for log in logs} >= {"postgres.log", "redis.log", "pubsub.log"}
    theirs = {log.name: log.read_text(errors="replace") for log in logs}
    assert "duplicate key value" in theirs["postgres.log"]
    planted = (SECRET, hashed, tokens["access_token"], tokens["refresh_token"], "an-admin-token-for-tests")
    for name, text in (theirs | {"own": own}).items():
        for secret in planted:
            lines = [line[:300] for line in text.splitlines() if secret in line]
            assert lines == [], (name, lines[:3])


def test_logs_are_for_their_owner_alone(services: Running) -> None:
    logs = sorted((services.state.home / "logs").glob("*.log"))
    assert len(logs) >= 3
    for log in logs:
        assert log.stat().st_mode & 0o077 == 0, log
