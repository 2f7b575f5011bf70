"""The job that lets the first admin in: the link is for its caller alone."""

import json
import logging
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import PASSWORD, PUBLIC_URL, login, register

NEW_PASSWORD = "three plums in the rain"


def token_of(url: str) -> str:
    assert url.startswith(f"{PUBLIC_URL}/auth/set-password?token=")
    return parse_qs(urlsplit(url).query)["token"][0]


def set_password(accounts: httpx.Client, url: str) -> int:
    return accounts.post("/auth/set-password", json={"token": token_of(url), "new_password": NEW_PASSWORD}).status_code


def test_the_answer_has_a_link_that_no_record_and_no_log_has(
    env: object, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = serve("accounts")
    answer = serve("first_admin").post("/", json={"email": "ada@example.com"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["job"], body["existed"], body["email_verified"]) == ("first_admin", False, False)
    token = token_of(body["url"])
    ((outcome, details),) = postgres.read("SELECT outcome, details FROM job_runs WHERE job = 'first_admin'")
    assert (outcome, details["user_id"], details["existed"]) == ("succeeded", body["user_id"], False)
    assert "url" not in details
    logged = [str(record.__dict__) for record in caplog.records]
    assert any("job done" in line for line in logged)
    assert not [line for line in logged if token in line or token.partition(".")[0] in line]
    assert set_password(accounts, body["url"]) == 204
    assert login(accounts, "ada", NEW_PASSWORD).status_code == 200


def test_a_squatter_is_shut_out_and_a_bystander_is_not(env: object, serve: Serve) -> None:
    accounts, job = serve("accounts"), serve("first_admin")
    squatter = register(accounts, "boss")
    register(accounts, "eve")
    body = job.post("/", json={"email": "Boss@example.com"}).json()
    assert (body["user_id"], body["existed"], body["email_verified"]) == (squatter["user_id"], True, False)
    assert login(accounts, "boss", PASSWORD).status_code == 401
    assert accounts.post("/auth/refresh", json={"refresh_token": squatter["refresh_token"]}).status_code == 401
    assert login(accounts, "eve", PASSWORD).status_code == 200
    # a second call replaces the link
    again = job.post("/", json={"email": "boss@example.com"}).json()
    assert set_password(accounts, body["url"]) != 204
    assert set_password(accounts, again["url"]) == 204
    roles = dict(postgres.read("SELECT username, role FROM users WHERE username IS NOT NULL"))
    assert roles == {"boss": "admin", "eve": "user"}


@pytest.mark.parametrize("body", [{}, {"email": "nobody"}, {"email": 1}, {"email": "a@example.com", "role": "user"}])
def test_anything_but_an_address_is_refused(env: object, serve: Serve, body: dict[str, object]) -> None:
    answer = serve("first_admin").post("/", json=body)
    assert answer.status_code == 422, answer.text
    assert "email" in json.dumps(answer.json()) or "role" in answer.text
    assert postgres.read("SELECT count(*) FROM users WHERE role = 'admin'")[0][0] == 0
