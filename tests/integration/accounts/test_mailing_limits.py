"""Links that the shop mails to addresses that strangers name: neither one mailbox nor many get more than a bound."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.mail import sending
from shared.storage.people import login_failures
from tests.integration.conftest import Serve, settings_of
from tests.integration.mailbox import Mailbox
from tests.integration.people import PASSWORD, bearer

SENDER, BYSTANDER = "192.0.2.66", "192.0.2.99"


@pytest.fixture
def accounts(mails: Mailbox, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(sending, "WAIT_S", 2)
    with settings_of({"TRUSTED_PROXIES": "1"}):
        yield serve("accounts")


def at(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def register(accounts: httpx.Client, name: str, email: str, address: str = SENDER) -> dict[str, Any]:
    body = {"username": name, "email": email, "password": PASSWORD}
    answer = accounts.post("/auth/register", json=body, headers=at(address))
    # whatever happens to the message, the account is registered
    assert answer.status_code == 201, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def sent_to(mails: Mailbox, local_part: str) -> int:
    return sum(str(message["To"]).startswith(local_part) for message in mails.messages())


def test_a_mailbox_with_labels_is_one_mailbox(accounts: httpx.Client, mails: Mailbox) -> None:
    for number in range(8):
        # from many addresses, which have counts of their own
        register(accounts, f"eve{number}", f"Ada+{number}@example.com", f"192.0.2.{number}")
    assert sent_to(mails, "ada") == 5
    # neither another mailbox of the domain nor the same name at another domain is held back
    register(accounts, "bob", "bob+shop@example.com", "192.0.2.1")
    register(accounts, "ada", "ada@example.org", "192.0.2.1")
    assert (sent_to(mails, "bob"), sent_to(mails, "ada@example.org")) == (1, 1)


def test_a_mailbox_that_is_registered_and_erased_in_turn_gets_no_more(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts, "bob", "bob@example.com", BYSTANDER)
    for number in range(8):
        tokens = register(accounts, f"eve{number}", "ada@example.com", f"192.0.2.{number}")
        assert accounts.delete("/users/me", headers=bearer(tokens)).status_code == 204
    assert (sent_to(mails, "ada"), sent_to(mails, "bob")) == (5, 1)


def test_one_client_writes_to_few_strangers(accounts: httpx.Client, mails: Mailbox) -> None:
    tokens = register(accounts, "eve", "eve@example.com")
    subject = login_failures._sender_subject(SENDER)
    postgres.write("UPDATE login_failures SET failures = 47 WHERE subject = :s", s=subject)
    register(accounts, "eve2", "stranger2@example.com")
    change = {"email": "stranger3@example.com", "password": PASSWORD}
    assert accounts.patch("/users/me", json=change, headers=bearer(tokens) | at(SENDER)).status_code == 200
    another = accounts.post("/auth/verification", headers=bearer(tokens) | at(SENDER))
    assert another.status_code == 202
    # the fiftieth was sent, and what follows is not, whichever route asks for it
    register(accounts, "eve4", "stranger4@example.com")
    change["email"] = "stranger5@example.com"
    assert accounts.patch("/users/me", json=change, headers=bearer(tokens) | at(SENDER)).status_code == 200
    accounts.post("/auth/verification", headers=bearer(tokens) | at(SENDER))
    assert [sent_to(mails, f"stranger{number}") for number in (2, 3, 4, 5)] == [1, 2, 0, 0]
    # other clients and their mailboxes are as before
    register(accounts, "bob", "bob@example.com", BYSTANDER)
    assert sent_to(mails, "bob") == 1
