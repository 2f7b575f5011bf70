"""`./aisle admin create` waits for a password: an account that gives the address up meanwhile becomes no admin."""

import os
import subprocess
import sys

import pytest

from local.places import ROOT
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import PASSWORD, bearer, login, register

TYPED = "three plums in the rain"


@pytest.mark.parametrize(("email", "role"), [("eve@evil.example", "user"), ("BOSS@example.com", "admin")])
def test_who_changes_the_email_while_the_password_is_typed_stays_a_user(
    env: dict[str, str], serve: Serve, email: str, role: str
) -> None:
    accounts = serve("accounts")
    squatter, bystander = register(accounts, "boss"), register(accounts, "bob")
    settings = {name: env[name] for name in ("DATABASE_URL", "AISLE_HOME") if name in env}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "local", "admin", "create", "boss@example.com"],
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)} | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        # the account was found, and the command waits for the password
        assert "It gets the password that you type now." in process.stderr.readline()
        change = {"email": email, "password": PASSWORD}
        assert accounts.patch("/users/me", json=change, headers=bearer(squatter)).status_code == 200
        _, errors = process.communicate(TYPED + "\n", timeout=60)
    assert (process.returncode == 0) == (role == "admin"), errors
    assert ("another email by now" in errors) == (role == "user")
    roles = [tuple(row) for row in postgres.read("SELECT username, role FROM users ORDER BY username")]
    assert roles == [("bob", "user"), ("boss", role)]
    # a refused command leaves the account as it was, and nobody else notices either outcome
    assert accounts.get("/users/me", headers=bearer(squatter)).status_code == (401 if role == "admin" else 200)
    assert accounts.get("/users/me", headers=bearer(bystander)).status_code == 200
    assert login(accounts, "bob").status_code == 200
