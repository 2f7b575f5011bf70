"""Control and invisible characters in texts are refused with 422, never with 500."""

from collections.abc import Callable

import httpx
import pytest

from tests.integration.people import PASSWORD, bearer, register
from tests.integration.tables import count_rows

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("character", ["\\u0000", "\\u0007", "\\u001b", "\\u200b", "\\u202e"])
def test_an_email_with_such_a_character_makes_no_account(
    env: dict[str, str], serve: Callable[[str], httpx.Client], character: str
) -> None:
    accounts = serve("accounts")
    mine = bearer(register(accounts))
    email = f"x{character}y@example.com"
    body = f'{{"username": "bob", "email": "{email}", "password": "{PASSWORD}"}}'
    assert accounts.post("/auth/register", content=body, headers=JSON).status_code == 422
    answer = accounts.post("/auth/login", content=f'{{"email": "{email}", "password": "q"}}', headers=JSON)
    assert answer.status_code == (401 if character in ("\\u200b", "\\u202e") else 422)
    body = f'{{"email": "{email}", "password": "{PASSWORD}"}}'
    assert accounts.patch("/users/me", content=body, headers=mine | JSON).status_code == 422
    assert count_rows("users", "email IS NOT NULL") == 1
    assert count_rows("users", "email = 'ada@example.com'") == 1


@pytest.mark.parametrize("body", [b'{"a\\u0000": 1}', b'{"a": ["\\u0000"]}'])
def test_a_job_s_parameters_have_no_nul(env: dict[str, str], serve: Callable[[str], httpx.Client], body: bytes) -> None:
    headers = JSON | {"Authorization": "Bearer an-admin-token-for-tests"}
    answer = serve("admin").post("/admin/jobs/trending/run", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert "NUL" in answer.json()["detail"]
