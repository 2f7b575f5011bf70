"""The first admin gets in by a link, and whoever registered the address beforehand does not."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shared.clients import postgres
from shared.errors import InvalidRequest
from shared.first_admin import first_admin_link
from tests.integration.conftest import Serve
from tests.integration.people import PASSWORD, PUBLIC_URL, bearer, login, register

NEW_PASSWORD = "three plums in the rain"


@pytest.fixture
def accounts(env: dict[str, str], serve: Serve) -> httpx.Client:
    return serve("accounts")


def set_password(accounts: httpx.Client, url: str, password: str = NEW_PASSWORD) -> httpx.Response:
    assert url.startswith(f"{PUBLIC_URL}/auth/set-password?token=")
    token = parse_qs(urlsplit(url).query)["token"][0]
    return accounts.post("/auth/set-password", json={"token": token, "new_password": password})


def test_a_new_admin_sets_a_password_once_and_may_do_everything(accounts: httpx.Client, serve: Serve) -> None:
    made = first_admin_link(" Boss@example.com ")
    assert (made.existed, made.email_verified) == (False, False)
    assert timedelta() <= datetime.now(UTC) - made.created_at < timedelta(minutes=1)
    assert set_password(accounts, made.url).status_code == 204
    assert set_password(accounts, made.url).status_code == 410
    tokens = login(accounts, "boss", NEW_PASSWORD).json()
    assert tokens["user_id"] == made.user_id
    listed = serve("admin").get("/admin/users", headers=bearer(tokens)).json()["users"]
    # a link that was handed over proves no mailbox
    assert [(user["role"], user["email_verified"]) for user in listed] == [("admin", False)]
    entries = serve("admin").get("/admin/audit-log?security=true", headers=bearer(tokens)).json()["entries"]
    assert [(entry["actor"], entry["action"]) for entry in entries] == [
        (made.user_id, "login"),
        (made.user_id, "password.reset"),
        ("command-line", "user.role"),
    ]


def test_who_registered_the_address_beforehand_is_shut_out(accounts: httpx.Client, serve: Serve) -> None:
    squatter, bystander = register(accounts, "boss"), register(accounts, "eve")
    postgres.write("UPDATE users SET registered_at = registered_at - interval '40 days' WHERE username = 'boss'")
    made = first_admin_link("boss@example.com")
    assert (made.existed, made.user_id) == (True, squatter["user_id"])
    assert timedelta(days=40) < datetime.now(UTC) - made.created_at < timedelta(days=41)
    refresh = {"refresh_token": squatter["refresh_token"]}
    assert accounts.post("/auth/refresh", json=refresh).status_code == 401
    assert accounts.get("/users/me", headers=bearer(squatter)).status_code == 401
    assert serve("admin").get("/admin/users", headers=bearer(squatter)).status_code in (401, 403)
    assert login(accounts, "boss").status_code == 401
    assert set_password(accounts, made.url).status_code == 204
    assert login(accounts, "boss").status_code == 401
    assert login(accounts, "boss", NEW_PASSWORD).status_code == 200
    assert accounts.get("/users/me", headers=bearer(bystander)).json()["role"] == "user"
    assert login(accounts, "eve", PASSWORD).status_code == 200


def test_a_second_call_replaces_the_link_and_the_password(accounts: httpx.Client) -> None:
    first = first_admin_link("boss@example.com")
    second = first_admin_link("BOSS@example.com")
    assert (second.existed, second.user_id) == (True, first.user_id)
    assert set_password(accounts, first.url).status_code == 410
    assert set_password(accounts, second.url).status_code == 204
    third = first_admin_link("boss@example.com")
    assert login(accounts, "boss", NEW_PASSWORD).status_code == 401
    assert set_password(accounts, third.url).status_code == 204


def test_a_text_that_is_no_address_creates_nothing(accounts: httpx.Client) -> None:
    with pytest.raises(InvalidRequest, match="email must be an email address"):
        first_admin_link("boss")
    assert postgres.read("SELECT count(*) FROM users")[0][0] == 0
