"""The search of all logs at the end of the run sees what is logged, and finds each kind of secret."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Running
from tests.integration.people import ADMIN_TOKEN, PASSWORD, register
from tests.run_logs import RunLogs

Serve = Callable[[str], httpx.Client]


@pytest.fixture
def own() -> Iterator[RunLogs]:
    """Another run, in a folder outside this one's, so that what is planted there does not fail this one."""
    with tempfile.TemporaryDirectory() as folder:
        logs = RunLogs(Path(folder))
        yield logs
        logs.handler.close()


def test_the_run_sees_the_logs_of_functions_and_services(
    services: Running, run_logs: RunLogs, env: dict[str, str], serve: Serve
) -> None:
    accounts = serve("accounts")
    tokens = register(accounts)
    refreshed = accounts.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    for value in (PASSWORD, "ada@example.com", ADMIN_TOKEN):
        assert value in run_logs.values
    for answer in (tokens, refreshed):
        assert {answer["access_token"], answer["refresh_token"]} <= run_logs.values
    marker = "the run sees this line"
    logging.getLogger("shared.test").warning(marker)
    with pytest.raises(Exception, match="does not exist"):
        postgres.read("SELECT 1 FROM a_table_of_the_run")
    logs = run_logs.logs()
    assert {log.name for log in logs} >= {"functions.log", "postgres.log", "redis.log", "pubsub.log"}
    assert run_logs.functions in logs
    assert marker in run_logs.functions.read_text()
    # other tests of this process may have started systems of their own
    databases = [log for log in logs if log.name == "postgres.log"]
    assert any("a_table_of_the_run" in log.read_text() for log in databases)
    assert services.password not in run_logs.values, "it is read from state.json at the end"


@pytest.mark.parametrize(
    ("secret", "harmless"),
    [
        ("mail to ada@example.com", "mail to acct_1"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x", "token of user 1"),
        (f"GET /products?key=pk_{'0' * 12}_{'1' * 32}_{'2' * 32}", "GET /products?page=2"),
        ("GET /products?page=2&key=anything", "GET /products?keys=anything"),
        (f"sk_{'0' * 12}_{'1' * 32}_{'2' * 32}", f"key {'0' * 12}"),
        ("Authorization: Bearer an-admin-token", "Bearer realm"),
        ("$argon2id$v=19$m=19456", "argon2id"),
        ('{"latitude": 52.5200}', '{"latitude": null}'),
        ("postgresql+pg8000://postgres:pass@host/aisle", "postgresql+pg8000://host/aisle"),
    ],
)
def test_each_form_of_secret_is_found_and_its_neighbour_is_not(own: RunLogs, secret: str, harmless: str) -> None:
    own.functions.write_text(f"{harmless}\n")
    assert list(own.leaks()) == []
    own.values.add("a password of ada")
    own.functions.write_text(f"{harmless}\nto a password of ada: {secret}\n{harmless}\n")
    leaks = list(own.leaks())
    assert leaks
    assert all(leak.startswith(f"{own.functions}:2: ") for leak in leaks)
    # the quoted line says where the secret comes from, and has none itself
    assert all(": to …: " in leak for leak in leaks)
    assert not any(secret in leak or harmless in leak for leak in leaks)


def test_values_that_went_over_the_wire_are_found(own: RunLogs) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"sessions": [{"refresh_token": "Zm9vYmFyYmF6cXV4"}], "total": 123456789012})

    headers = {"Authorization": "Bearer staff-of-the-shop", "Idempotency-Key": "order-of-ada-1"}
    with httpx.Client(transport=httpx.MockTransport(answer), event_hooks={"response": [own.remember]}) as client:
        client.post("http://shop/auth?key=in-the-address", json={"password": "a hat, a cat"}, headers=headers)
    for value in ("Zm9vYmFyYmF6cXV4", "staff-of-the-shop", "order-of-ada-1", "in-the-address", "a hat, a cat"):
        own.functions.write_text(f"harmless 123456789012\nvalue {value}\n")
        assert list(own.leaks()) == [f"{own.functions}:2: a value that was sent or received as a secret: value …"]


def test_secrets_of_a_local_system_and_open_logs_are_found(own: RunLogs) -> None:
    home = own.folder / "system"
    (home / "logs").mkdir(parents=True)
    (home / "state.json").write_text('{"secrets": {"redis": "the-password-of-redis"}}')
    worker = home / "logs/gateway.log.1"
    worker.write_text("AUTH the-password-of-redis\n")
    worker.chmod(0o644)
    assert list(own.leaks()) == [
        f"{worker}: readable by others; it must have the mode 0600",
        f"{worker}:1: a value that was sent or received as a secret: AUTH …",
    ]
    worker.chmod(0o600)
    worker.write_text("AUTH ***\n")
    assert list(own.leaks()) == []
