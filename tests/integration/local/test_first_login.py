"""The first admin of a new local system: created once, and let in by a password that is shown once."""

import stat
from pathlib import Path

import httpx
import pytest

from local import first_login
from shared.clients import postgres
from shared.storage.people import accounts
from tests.integration.conftest import Serve
from tests.integration.people import register


def log_in(client: httpx.Client, login: first_login.Login) -> httpx.Response:
    return client.post("/auth/login", json=login._asdict())


def test_a_database_without_an_admin_gets_one_whose_login_is_taken_once(
    env: dict[str, str], serve: Serve, tmp_path: Path
) -> None:
    people = serve("accounts")
    shopper = register(people, "ada")["user_id"]
    first_login.offer(tmp_path)
    assert stat.S_IMODE((tmp_path / first_login.FILE).stat().st_mode) == 0o600
    login = first_login.take(tmp_path)
    assert login is not None
    assert first_login.take(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    tokens = log_in(people, login)
    assert tokens.status_code == 200
    headers = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    assert people.get("/users/me", headers=headers).json()["role"] == "admin"
    # nobody else became one
    assert postgres.read("SELECT role FROM users WHERE external_id = :id", id=shopper)[0][0] == "user"


def test_a_later_start_changes_nothing(env: dict[str, str], serve: Serve, tmp_path: Path) -> None:
    people = serve("accounts")
    first_login.offer(tmp_path)
    login = first_login.take(tmp_path)
    assert login is not None
    first_login.offer(tmp_path)
    assert first_login.take(tmp_path) is None
    assert log_in(people, login).status_code == 200


def test_an_admin_of_another_address_is_enough(env: dict[str, str], serve: Serve, tmp_path: Path) -> None:
    user_id = register(serve("accounts"), "boss")["user_id"]
    postgres.write("UPDATE users SET role = 'admin' WHERE external_id = :id", id=user_id)
    first_login.offer(tmp_path)
    assert first_login.take(tmp_path) is None
    assert accounts.find_by_email(first_login.EMAIL) is None


@pytest.mark.parametrize("role", ["user", "support"])
def test_whoever_registered_the_address_before_does_not_get_in(
    env: dict[str, str], serve: Serve, tmp_path: Path, role: str
) -> None:
    people = serve("accounts")
    tokens = register(people, "eve", email=first_login.EMAIL)
    postgres.write("UPDATE users SET role = :role WHERE external_id = :id", role=role, id=tokens["user_id"])
    first_login.offer(tmp_path)
    login = first_login.take(tmp_path)
    assert login is not None
    assert people.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    eve = first_login.Login(login.email, "a plum in the rain")
    assert log_in(people, eve).status_code == 401
    assert log_in(people, login).status_code == 200
