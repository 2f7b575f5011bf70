"""A role that was meant for one mailbox does not go to another."""

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import PASSWORD, bearer, login, register


@pytest.fixture
def accounts(env: dict[str, str], serve: Serve) -> httpx.Client:
    return serve("accounts")


@pytest.fixture
def boss(accounts: httpx.Client) -> dict[str, str]:
    register(accounts, "boss")
    postgres.write("UPDATE users SET role = 'admin'")
    return bearer(login(accounts, "boss").json())


def test_an_account_that_changed_its_email_since_it_was_looked_up_is_not_promoted(
    accounts: httpx.Client, boss: dict[str, str], serve: Serve
) -> None:
    admin, squatter = serve("admin"), register(accounts)
    seen = admin.get("/admin/users?email=ada@example.com", headers=boss).json()["users"][0]
    change = {"email": "eve@evil.example", "password": PASSWORD}
    assert accounts.patch("/users/me", json=change, headers=bearer(squatter)).status_code == 200
    path, promotion = f"/admin/users/{seen['user_id']}/role", {"role": "admin", "email": seen["email"]}
    refused = admin.put(path, json=promotion, headers=boss)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:aisle:problem:conflict")
    # nothing happened: neither the role nor the session changed
    profile = accounts.get("/users/me", headers=bearer(squatter))
    assert (profile.status_code, profile.json()["role"]) == (200, "user")
    # however the current email is written, it is the account's
    promoted = admin.put(path, json={"role": "support", "email": " EVE@evil.example"}, headers=boss)
    assert (promoted.status_code, promoted.json()["role"]) == (200, "support")
    assert accounts.get("/users/me", headers=bearer(squatter)).status_code == 401
