"""A taken username says nothing about the email beside it: otherwise it would be an uncounted way to try emails."""

import httpx
import pytest

from tests.integration.people import PASSWORD, bearer, register


@pytest.mark.parametrize("email", ["bob@example.com", "free@example.com"])
def test_a_taken_username_is_answered_alike_whether_the_email_is_taken_or_free(
    accounts: httpx.Client, email: str
) -> None:
    register(accounts)
    register(accounts, "bob")
    eve = bearer(register(accounts, "eve"))
    for name in ("ada", "ADA"):
        body = {"username": name, "email": email, "password": PASSWORD}
        for answer in (
            accounts.post("/auth/register", json=body),
            accounts.patch("/users/me", json=body, headers=eve),
        ):
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:aisle:problem:username-taken")
            assert "email" not in answer.json()["detail"]


def test_a_free_username_is_taken_and_one_s_own_stays(accounts: httpx.Client) -> None:
    register(accounts)
    eve = bearer(register(accounts, "eve"))
    own = accounts.patch("/users/me", json={"username": "EVE", "city": "Turin"}, headers=eve)
    assert (own.status_code, own.json()["username"]) == (200, "EVE")
    body = {"username": "eva", "email": "ada@example.com", "password": PASSWORD}
    assert accounts.patch("/users/me", json=body, headers=eve).json()["type"] == "urn:aisle:problem:email-taken"
    assert accounts.get("/users/me", headers=eve).json()["username"] == "EVE"
