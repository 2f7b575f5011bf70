"""Accounts, and the credentials of users and of the shop's own machines."""

from typing import Any

import httpx

from shared.domain.identity import is_account
from shared.tokens import issue

PASSWORD = "a plum in the rain"
# where links in mails lead
PUBLIC_URL = "https://shop.example"
ADMIN_TOKEN = "an-admin-token-for-tests"
# the header of a machine of the shop's own
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


def bearer(tokens: dict[str, Any] | str) -> dict[str, str]:
    """Return the header of a user's requests."""
    return {"Authorization": f"Bearer {tokens if isinstance(tokens, str) else tokens['access_token']}"}


def proof(body: dict[str, Any]) -> dict[str, str]:
    """Return the header that a merge needs: the token of the guest that the body names, if it names one."""
    guest = body.get("guest_user_id")
    return bearer(issue(guest, "guest")) if guest is not None and not is_account(guest) else {}


def register(client: httpx.Client, name: str = "ada", **more: Any) -> dict[str, Any]:
    """Register an account and return its tokens."""
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD} | more
    answer = client.post("/auth/register", json=body, headers=proof(body))
    assert answer.status_code == 201, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def login(client: httpx.Client, name: str = "ada", password: str = PASSWORD, **more: Any) -> httpx.Response:
    """Log an account in."""
    body = {"email": f"{name}@example.com", "password": password} | more
    return client.post("/auth/login", json=body, headers=proof(body))


def as_admin(client: httpx.Client) -> httpx.Client:
    """Let a client send the admin token with every request, and return it."""
    client.headers.update(ADMIN)
    return client
