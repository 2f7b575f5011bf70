"""Guests, registration, login, refresh, logout and passwords: which requests get tokens."""

from typing import Any

import httpx
import pytest

from shared import passwords
from shared.clients import postgres
from shared.tokens import verify
from tests.integration.concurrency import run_concurrently
from tests.integration.people import PASSWORD, bearer, login, register
from tests.integration.tables import count_rows

SHAPE = {"access_token", "refresh_token", "token_type", "expires_in", "user_id"}


def test_guests_accounts_logins_and_refreshes_get_the_same_shape(accounts: httpx.Client) -> None:
    guest = accounts.post("/auth/guest")
    assert guest.status_code == 201
    account = register(accounts)
    second_login = login(accounts).json()
    refreshed = accounts.post("/auth/refresh", json={"refresh_token": second_login["refresh_token"]})
    # only they can take a guest along
    assert account.pop("merge") is second_login.pop("merge") is None
    for answer in (guest.json(), account, second_login, refreshed.json()):
        assert set(answer) == SHAPE
        assert (answer["token_type"], answer["expires_in"]) == ("bearer", 1800)
    assert refreshed.headers["cache-control"] == "no-store"
    assert guest.json()["user_id"].startswith("guest_")
    assert len(guest.json()["user_id"]) == len("guest_") + 32
    assert account["user_id"].startswith("acct_")
    assert account["user_id"] == second_login["user_id"] == refreshed.json()["user_id"]
    assert verify(guest.json()["access_token"]).role == "guest"
    assert verify(account["access_token"]).role == "user"


def test_a_guest_s_refresh_token_works_too(accounts: httpx.Client) -> None:
    guest = accounts.post("/auth/guest").json()
    following = accounts.post("/auth/refresh", json={"refresh_token": guest["refresh_token"]}).json()
    assert following["user_id"] == guest["user_id"]
    assert verify(following["access_token"]).role == "guest"


def test_only_digests_of_secrets_are_stored(accounts: httpx.Client) -> None:
    tokens = register(accounts)
    stored = postgres.read(
        "SELECT u::text || coalesce((SELECT string_agg(t::text, '') FROM refresh_tokens t), '') FROM users u"
    )
    assert PASSWORD not in stored[0][0]
    assert tokens["refresh_token"] not in stored[0][0]
    (row,) = postgres.read("SELECT password_hash FROM users")
    assert row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_login_takes_the_email_in_any_case_and_only_the_right_password(accounts: httpx.Client) -> None:
    register(accounts)
    right = accounts.post("/auth/login", json={"email": " ADA@Example.com ", "password": PASSWORD})
    assert right.status_code == 200
    problems = [login(accounts, password="not the password"), login(accounts, "nobody", "not the password")]
    for answer in problems:
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:aisle:problem:login-failed"
    hidden = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in problems]
    # the answers do not reveal which emails exist
    assert hidden[0] == hidden[1]


def test_an_unknown_account_costs_as_much_hashing_as_a_known_one(
    accounts: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(accounts)
    import argon2

    seen: list[str] = []
    plain = argon2.PasswordHasher.verify

    def noted(self: Any, hash: Any, password: Any) -> Any:
        seen.append(str(hash).rpartition("$")[0].rpartition("$")[0])
        return plain(self, hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noted)
    login(accounts, password="not the password")
    login(accounts, "nobody", "not the password")
    assert seen == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2


def test_a_composed_and_a_decomposed_letter_are_one_password(accounts: httpx.Client) -> None:
    register(accounts, password="caf\u00e9 au lait")
    assert login(accounts, password="cafe\u0301 au lait").status_code == 200


def test_a_hash_with_older_parameters_is_replaced_at_login(accounts: httpx.Client) -> None:
    from argon2 import PasswordHasher

    register(accounts)
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    postgres.write("UPDATE users SET password_hash = :old", old=old)
    assert login(accounts).status_code == 200
    (row,) = postgres.read("SELECT password_hash FROM users")
    assert "m=19456,t=2,p=1" in row[0]
    assert login(accounts).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "ada"}, "email"),
        ({"email": "a b@example.com"}, "email"),
        ({"email": "ada@localhost"}, "email"),
        ({"email": "@example.com"}, "email"),
        ({"email": "a" * 300 + "@example.com"}, "email"),
        ({"email": "ada@example..com"}, "email"),
        ({"email": "ada@example.com\x00"}, "email"),
        ({"email": "<script>@example.com"}, "email"),
        ({"email": None}, "email"),
        ({"username": "a"}, "username"),
        ({"username": "a" * 51}, "username"),
        ({"username": "a\nb c"}, "username"),
        ({"username": "'; DROP TABLE users; --"}, "username"),
        ({"username": "<script>"}, "username"),
        ({"password": ""}, "password"),
        ({"password": 12345678}, "password"),
        ({"password": "x" * 513}, "password"),
        ({"role": "admin"}, "role"),
        ({"guest_user_id": "acct_" + "1" * 32}, "guest_user_id"),
        ({"guest_user_id": "\x00"}, "guest_user_id"),
    ],
)
def test_an_invalid_registration_names_its_field(accounts: httpx.Client, change: dict[str, Any], field: str) -> None:
    body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD} | change
    answer = accounts.post("/auth/register", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert count_rows("users") == count_rows("refresh_tokens") == 0


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 129,
        "password",
        "Password1!",
        "P@ssw0rd",
        "12345678",
        "87654321",
        "aaaaaaaa",
        "abababab",
        "qwertyuiop",
        "1q2w3e4r",
        "iloveyou",
        "letmein123",
        "Football2024",
        "dragondragon",
        "abcdefgh",
        "19901990",
        "ada@example.com",
        "charles.babbage",
        "line\nbreaks here",
        "\ud800 lone surrogate",
    ],
)
def test_weak_and_leaked_passwords_are_refused(accounts: httpx.Client, password: str) -> None:
    body = {"username": "charles.babbage", "email": "ada@example.com", "password": password}
    # JSON can name a lone surrogate; httpx cannot send one
    import json

    answer = accounts.post("/auth/register", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    if answer.status_code == 422 and not answer.json().get("errors"):
        assert answer.json()["type"] == "urn:aisle:problem:weak-password"
    assert count_rows("users") == 0


@pytest.mark.parametrize(
    "password", ["a plum in the rain", "kT9#vq2LxZ", "correcthorse mule", "пароль-для-дачи", "x" * 64 + "yz" * 32]
)
def test_strong_passwords_are_accepted(password: str) -> None:
    assert passwords.check(password, "ada@example.com", "ada") == password


def test_email_and_username_are_unique_in_any_case(accounts: httpx.Client) -> None:
    register(accounts)
    body = {"username": "other", "email": "ADA@EXAMPLE.COM", "password": PASSWORD}
    answer = accounts.post("/auth/register", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:aisle:problem:email-taken")
    answer = accounts.post("/auth/register", json=body | {"username": "ADA", "email": "other@example.com"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:aisle:problem:username-taken")
    assert count_rows("users") == 1


def test_of_registrations_at_once_one_gets_the_email(accounts: httpx.Client) -> None:
    def register(number: int) -> int:
        body = {"username": f"ada{number}", "email": "ada@example.com", "password": PASSWORD}
        return accounts.post("/auth/register", json=body).status_code

    assert sorted(run_concurrently(register, range(4))) == [201, 409, 409, 409]
    assert count_rows("users") == 1


def refresh(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/auth/refresh", json={"refresh_token": token})


def test_reuse_of_a_refresh_token_revokes_its_family(accounts: httpx.Client) -> None:
    first = register(accounts)
    second_login = login(accounts).json()
    second = refresh(accounts, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    postgres.write("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'")
    reused = refresh(accounts, first["refresh_token"])
    assert (reused.status_code, reused.json()["type"]) == (401, "urn:aisle:problem:token-reused")
    # the second token may be the thief's, so it is revoked too; another login of the same user is not
    ended = refresh(accounts, second["refresh_token"])
    assert (ended.status_code, ended.json()["type"]) == (401, "urn:aisle:problem:invalid-token")
    assert refresh(accounts, second_login["refresh_token"]).status_code == 200


def test_a_refresh_token_used_by_several_at_once_makes_at_most_one_successor(accounts: httpx.Client) -> None:
    first = register(accounts)["refresh_token"]

    def use(_number: int) -> Any:
        return accounts.post("/auth/refresh", json={"refresh_token": first}).json()["refresh_token"]

    assert len(set(run_concurrently(use, range(6)))) == 1
    assert count_rows("refresh_tokens") == 2
    assert postgres.read("SELECT count(DISTINCT family) FROM refresh_tokens")[0][0] == 1
    assert count_rows("refresh_tokens", "revoked_at IS NULL") == 2


def test_an_expired_or_unknown_refresh_token_is_refused(accounts: httpx.Client) -> None:
    token = register(accounts)["refresh_token"]
    postgres.write("UPDATE refresh_tokens SET expires_at = now() - interval '1 second'")
    for refused in (token, "nonsense", "x" * 512, "'; DROP TABLE users; --"):
        answer = refresh(accounts, refused)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:aisle:problem:invalid-token")
    (row,) = postgres.read("SELECT expires_at - issued_at < interval '7 days' FROM refresh_tokens")
    assert row[0]


def test_logout_ends_this_login_and_no_other(accounts: httpx.Client) -> None:
    here, there = register(accounts), login(accounts).json()
    for _ in range(2):
        assert accounts.post("/auth/logout", json={"refresh_token": here["refresh_token"]}).status_code == 204
    assert refresh(accounts, here["refresh_token"]).status_code == 401
    assert refresh(accounts, there["refresh_token"]).status_code == 200
    assert accounts.post("/auth/logout", json={"refresh_token": "nonsense"}).status_code == 204


def test_a_new_password_ends_every_other_login(accounts: httpx.Client) -> None:
    here, there = register(accounts), login(accounts).json()
    body = {"current_password": PASSWORD, "new_password": "two plums in the rain"}
    wrong = accounts.post("/auth/password", json=body | {"current_password": "not it"}, headers=bearer(here))
    assert (wrong.status_code, wrong.json()["type"]) == (401, "urn:aisle:problem:login-failed")
    weak = accounts.post("/auth/password", json=body | {"new_password": "password1"}, headers=bearer(here))
    assert (weak.status_code, weak.json()["type"]) == (422, "urn:aisle:problem:weak-password")
    assert login(accounts).status_code == 200
    changed = accounts.post("/auth/password", json=body, headers=bearer(here))
    assert changed.status_code == 200
    for old in (here, there):
        assert refresh(accounts, old["refresh_token"]).status_code == 401
    assert refresh(accounts, changed.json()["refresh_token"]).status_code == 200
    assert login(accounts).status_code == 401
    assert login(accounts, password="two plums in the rain").status_code == 200


def test_guessing_an_account_s_password_is_slowed_down_more_and_more(accounts: httpx.Client) -> None:
    register(accounts)
    for name in ("ada", "nobody"):
        for _ in range(5):
            assert login(accounts, name, "a guess at it").status_code == 401
        locked = login(accounts, name, PASSWORD)
        assert (locked.status_code, locked.json()["type"]) == (429, "urn:aisle:problem:locked-out")
        assert 1 <= int(locked.headers["Retry-After"]) <= 2
    waits = []
    for _ in range(3):
        postgres.write("UPDATE login_failures SET locked_until = now() - interval '1 second' WHERE failures >= 5")
        assert login(accounts, password="a guess at it").status_code == 401
        waits.append(int(login(accounts).headers["Retry-After"]))
    assert waits == [4, 8, 16]
    postgres.write("UPDATE login_failures SET locked_until = now() - interval '1 second'")
    assert login(accounts).status_code == 200
    # a success starts anew
    assert login(accounts, password="a guess at it").status_code == 401
    assert login(accounts).status_code == 200


def test_concurrent_guesses_do_not_evade_the_lock(accounts: httpx.Client) -> None:
    register(accounts)

    def guess(_number: int) -> int:
        body = {"email": "ada@example.com", "password": "a guess at it"}
        return accounts.post("/auth/login", json=body).status_code

    statuses = run_concurrently(guess, range(12))
    assert statuses.count(401) == 5
    assert statuses.count(429) == 7


def test_an_address_that_guesses_at_many_accounts_must_wait(accounts: httpx.Client) -> None:
    register(accounts)
    login(accounts, "nobody", "a guess at it")
    postgres.write("UPDATE login_failures SET failures = 49 WHERE subject = :s", s=address_subject())
    assert login(accounts, "nobody2", "a guess at it").status_code == 401
    locked = login(accounts)
    assert locked.status_code == 429
    assert int(locked.headers["Retry-After"]) >= 1


def address_subject() -> bytes:
    from shared.storage.people import login_failures

    return login_failures.address_subject("127.0.0.1")
