"""A role never comes with a password that somebody else chose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.mailbox import Mailbox, mailbox_in
from tests.integration.people import PASSWORD, bearer, login, register

NEW_PASSWORD = "three plums in the rain"


@pytest.fixture
def admin(env: dict[str, str], serve: Serve) -> httpx.Client:
    return serve("admin")


@pytest.fixture
def accounts(admin: httpx.Client, serve: Serve) -> httpx.Client:
    return serve("accounts")


@pytest.fixture
def boss(accounts: httpx.Client) -> dict[str, str]:
    register(accounts, "boss")
    postgres.write("UPDATE users SET role = 'admin'")
    return bearer(login(accounts, "boss").json())


@pytest.fixture
def mails(boss: dict[str, str], tmp_path: Path) -> Iterator[Mailbox]:
    with mailbox_in(tmp_path / "mails") as mailbox:
        yield mailbox


def assign(admin: httpx.Client, boss: dict[str, str], account: dict[str, Any], role: str) -> dict[str, Any]:
    answer = admin.put(f"/admin/users/{account['user_id']}/role", json={"role": role}, headers=boss)
    assert answer.status_code == 200, answer.text
    change: dict[str, Any] = answer.json()
    return change


def is_out(accounts: httpx.Client, tokens: dict[str, Any], name: str = "ada", password: str = PASSWORD) -> bool:
    """Whether neither a session nor the password of an account works."""
    return (
        accounts.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code,
        accounts.get("/users/me", headers=bearer(tokens)).status_code,
        login(accounts, name, password).status_code,
    ) == (401, 401, 401)


def set_password(accounts: httpx.Client, token: str) -> int:
    return accounts.post("/auth/set-password", json={"token": token, "new_password": NEW_PASSWORD}).status_code


@pytest.mark.parametrize("role", ["support", "admin"])
def test_a_promotion_shuts_out_who_registered_the_address_and_hands_out_a_link_once(
    admin: httpx.Client, accounts: httpx.Client, boss: dict[str, str], role: str
) -> None:
    squatter, bystander = register(accounts), register(accounts, "eve")
    postgres.write("UPDATE users SET registered_at = '2026-01-02 03:04+00' WHERE username = 'ada'")
    change = assign(admin, boss, squatter, role)
    assert (change["previous"], change["role"], change["mailed"]) == ("user", role, False)
    assert (change["registered_at"], change["email_verified"]) == ("2026-01-02T03:04:00Z", False)
    assert is_out(accounts, squatter)
    assert admin.get("/admin/users", headers=bearer(squatter)).status_code in (401, 403)
    token = parse_qs(urlsplit(change["link"]).query)["token"][0]
    assert [set_password(accounts, token) for _ in range(2)] == [204, 410]
    new = login(accounts, "ada", NEW_PASSWORD).json()
    profile = accounts.get("/users/me", headers=bearer(new)).json()
    # whoever has the link got it from an admin, not from the mailbox
    assert (profile["role"], profile["email_verified"]) == (role, False)
    assert admin.get("/admin/users", headers=bearer(new)).status_code == 200
    assert accounts.get("/users/me", headers=bearer(bystander)).json()["role"] == "user"
    assert login(accounts, "eve").status_code == 200


def test_with_mail_the_link_goes_to_the_address_and_verifies_it(
    admin: httpx.Client, accounts: httpx.Client, boss: dict[str, str], mails: Mailbox
) -> None:
    squatter = register(accounts)
    verification = mails.token("ada@example.com", "/auth/verify-email")
    assert accounts.post("/auth/verify-email", json={"token": verification}).status_code == 204
    change = assign(admin, boss, squatter, "admin")
    assert (change["link"], change["mailed"], change["email_verified"]) == (None, True, True)
    assert is_out(accounts, squatter)
    assert len(mails.messages("ada@example.com")) == 2
    text = mails.messages("ada@example.com")[-1].get_content()
    assert "role admin" in text
    assert set_password(accounts, mails.token("ada@example.com", "/auth/set-password")) == 204
    assert login(accounts, "ada", NEW_PASSWORD).status_code == 200


def test_a_demotion_ends_the_sessions_and_keeps_the_password(
    admin: httpx.Client, accounts: httpx.Client, boss: dict[str, str]
) -> None:
    register(accounts)
    postgres.write("UPDATE users SET role = 'support' WHERE username = 'ada'")
    support = login(accounts).json()
    bystander = register(accounts, "eve")
    change = assign(admin, boss, support, "user")
    assert (change["previous"], change["link"], change["mailed"]) == ("support", None, False)
    assert accounts.post("/auth/refresh", json={"refresh_token": support["refresh_token"]}).status_code == 401
    assert admin.get("/admin/users", headers=bearer(support)).status_code == 401
    assert login(accounts).status_code == 200
    assert accounts.post("/auth/refresh", json={"refresh_token": bystander["refresh_token"]}).status_code == 200


def test_the_same_role_again_changes_nothing(admin: httpx.Client, accounts: httpx.Client, boss: dict[str, str]) -> None:
    tokens = register(accounts)
    change = assign(admin, boss, tokens, "user")
    assert (change["link"], change["mailed"]) == (None, False)
    assert accounts.get("/users/me", headers=bearer(tokens)).status_code == 200
    assert login(accounts).status_code == 200


def test_a_link_that_was_requested_before_the_promotion_ends_with_it(
    admin: httpx.Client, accounts: httpx.Client, boss: dict[str, str], mails: Mailbox
) -> None:
    squatter = register(accounts)
    accounts.post("/auth/password-reset", json={"email": "ada@example.com"})
    earlier = mails.token("ada@example.com", "/auth/set-password")
    assign(admin, boss, squatter, "admin")
    assert set_password(accounts, earlier) == 410
    assert set_password(accounts, mails.token("ada@example.com", "/auth/set-password")) == 204
