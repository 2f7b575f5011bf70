"""A link ends with a change of the address, for good."""

import httpx
import pytest

from shared.mail import sending
from tests.integration.conftest import Serve
from tests.integration.mailbox import Mailbox
from tests.integration.people import PASSWORD, bearer, register

ADA, EVE = "ada@example.com", "eve@example.com"


@pytest.fixture
def accounts(mails: Mailbox, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    monkeypatch.setattr(sending, "WAIT_S", 1)
    return serve("accounts")


def test_a_link_does_not_come_back_with_its_address(accounts: httpx.Client, mails: Mailbox) -> None:
    headers = bearer(register(accounts))
    register(accounts, "eve")
    tokens = {}
    for email in (ADA, EVE):
        assert accounts.post("/auth/password-reset", json={"email": email}).status_code == 202
        tokens[email] = mails.token(email, "/auth/set-password")
    # a change of something else ends nothing
    assert accounts.patch("/users/me", json={"city": "London"}, headers=headers).status_code == 200
    assert accounts.get("/auth/set-password", params={"token": tokens[ADA]}).status_code == 200
    for email in ("countess@example.com", ADA):
        change = {"email": email, "password": PASSWORD}
        assert accounts.patch("/users/me", json=change, headers=headers).status_code == 200
    assert accounts.get("/auth/set-password", params={"token": tokens[ADA]}).status_code == 410
    # the link of the address as it is now, and a bystander's, are valid
    last = mails.token(ADA, "/auth/verify-email")
    assert accounts.post("/auth/verify-email", json={"token": last}).status_code == 204
    assert accounts.get("/auth/set-password", params={"token": tokens[EVE]}).status_code == 200
