"""`./aisle admin create`: the first admin, in any database."""

import os
import subprocess
import sys
from pathlib import Path

from local.places import ROOT
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import bearer, login, register

PASSWORD = "three plums in the rain"


def create(
    environment: dict[str, str], *arguments: str, stdin: str = PASSWORD + "\n"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "local", "admin", *arguments]
    settings = {name: environment[name] for name in ("DATABASE_URL", "AISLE_HOME") if name in environment}
    return subprocess.run(
        command,
        input=stdin,
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_first_admin_is_created_and_may_do_everything(env: dict[str, str], serve: Serve) -> None:
    process = create(env, "create", "boss@example.com")
    assert process.returncode == 0, process.stderr
    assert "boss@example.com is now an admin (acct_" in process.stdout
    login = {"email": "boss@example.com", "password": PASSWORD}
    tokens = serve("accounts").post("/auth/login", json=login).json()
    admin = serve("admin")
    assert admin.get("/admin/users", headers=bearer(tokens)).json()["total"] == 1
    entries = admin.get("/admin/audit-log", headers=bearer(tokens)).json()["entries"]
    assert [(entry["actor"], entry["action"], entry["after"]) for entry in entries] == [
        (tokens["user_id"], "login", None),
        ("command-line", "user.role", {"role": "admin"}),
    ]


def test_an_account_becomes_an_admin_with_the_new_password_alone(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    squatter, bystander = register(accounts, "ada"), register(accounts, "eve")
    postgres.write("UPDATE users SET registered_at = '2026-01-02 03:04+00' WHERE username = 'ada'")
    process = create(env, "create", "ADA@example.com")
    assert process.returncode == 0, process.stderr
    assert "was user and is now an admin" in process.stdout
    assert "The account has existed since 2026-01-02 03:04 UTC, and its address is not verified." in process.stderr
    assert [tuple(row) for row in postgres.read("SELECT username, role FROM users ORDER BY username")] == [
        ("ada", "admin"),
        ("eve", "user"),
    ]
    refreshes = [
        accounts.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code
        for tokens in (squatter, bystander)
    ]
    assert refreshes == [401, 200]
    assert login(accounts, "ada").status_code == 401
    assert login(accounts, "ada", PASSWORD).status_code == 200
    assert login(accounts, "eve").status_code == 200


def test_an_admin_whose_password_is_refused_is_left_as_they_were(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    tokens = register(accounts, "ada")
    for stdin in ("", "password1\n", "ada@example.com\n"):
        assert create(env, "create", "ada@example.com", stdin=stdin).returncode == 1
    assert accounts.get("/users/me", headers=bearer(tokens)).json()["role"] == "user"


def test_bad_input_is_one_line(env: dict[str, str], tmp_path: Path) -> None:
    for arguments, stdin, message in (
        (("create", "boss"), PASSWORD, "EMAIL must be an email address"),
        (("create", "boss@example.com"), "password1\n", "The password is among the first"),
        (("create", "boss@example.com"), "", "A password must have 8 to 128 characters"),
        (("create",), "", "Expected: ./aisle admin create EMAIL"),
        (("delete", "boss@example.com"), "", "Expected: ./aisle admin create EMAIL"),
    ):
        process = create(env, *arguments, stdin=stdin)
        assert process.returncode in (1, 2)
        assert process.stderr.startswith(f"aisle: {message}"), process.stderr
        assert process.stderr.count("\n") == 1
    assert postgres.read("SELECT count(*) FROM users")[0][0] == 0


def test_without_a_system_or_a_database_it_says_to_start_one(tmp_path: Path) -> None:
    process = create({"AISLE_HOME": str(tmp_path / "nothing here")}, "create", "boss@example.com")
    assert process.returncode == 1
    assert "Aisle is not running" in process.stderr
