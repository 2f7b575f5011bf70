"""Sessions end when they must, whatever runs at the same time, and nobody else's ends with them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.errors import InvalidToken, LoginFailed, TokenReused
from shared.storage.people import accounts as people
from shared.storage.people import refresh_tokens
from shared.storage.people.accounts import User
from shared.storage.people.refresh_tokens import Session
from tests.integration.people import PASSWORD, bearer, login, register
from tests.integration.tables import count_rows

Serve = Callable[[str], httpx.Client]
TRIALS = 200
NEW_PASSWORD = "two plums in the rain"
AGED = "UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => cast(:seconds AS float8))"


def refresh(client: httpx.Client, tokens: dict[str, Any] | str) -> httpx.Response:
    token = tokens if isinstance(tokens, str) else tokens["refresh_token"]
    return client.post("/auth/refresh", json={"refresh_token": token})


def set_password(client: httpx.Client, tokens: dict[str, Any], old: str = PASSWORD, new: str = NEW_PASSWORD) -> Any:
    body = {"current_password": old, "new_password": new}
    return client.post("/auth/password", json=body, headers=bearer(tokens))


# races, on the storage's functions: hashing would make each trial too slow to collide


@pytest.fixture
def user(env: dict[str, str]) -> User:
    with postgres.transaction() as connection:
        return people.add(connection, "acct_1", username=None, email="ada@example.com", password_hash="hash 0")


@pytest.fixture
def bystander(user: User) -> Session:
    with postgres.transaction() as connection:
        other = people.add(connection, "acct_2", username=None, email="bob@example.com", password_hash="hash")
        return refresh_tokens.begin(connection, other.id)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as executor:
        yield executor


def begin(user: User) -> Session:
    with postgres.transaction() as connection:
        return refresh_tokens.begin(connection, user.id)


def change(user: User, password_hash: str) -> Session:
    """Do what POST /auth/password does after it verified the current password."""
    with postgres.transaction() as connection:
        locked = people.lock(connection, user.user_id)
        assert locked is not None
        people.set_password(connection, locked, password_hash)
        refresh_tokens.revoke_all(connection, locked.id)
        return refresh_tokens.begin(connection, locked.id)


def rotate_on(token: str, times: int, started: threading.Barrier) -> list[str]:
    """Refresh again and again until it is refused; return every token."""
    tokens = [token]
    started.wait()
    for _ in range(times):
        try:
            tokens.append(refresh_tokens.rotate(tokens[-1]).refresh_token)
        except InvalidToken:
            break
    return tokens


def assert_ended(tokens: list[str]) -> None:
    for token in tokens:
        with pytest.raises(InvalidToken):
            refresh_tokens.rotate(token)


def test_no_token_of_a_refresh_loop_survives_a_new_password(
    user: User, bystander: Session, pool: ThreadPoolExecutor
) -> None:
    for trial in range(TRIALS):
        session = begin(user)
        barrier = threading.Barrier(2)
        loop = pool.submit(rotate_on, session.refresh_token, 4, barrier)
        barrier.wait()
        new = change(user, f"hash {trial + 1}")
        loop.result()
        alive = postgres.read(
            """SELECT family FROM refresh_tokens
            WHERE user_id = :user_id AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()""",
            user_id=user.id,
        )
        assert [str(row[0]) for row in alive] == [new.session_id], trial
    assert_ended(loop.result())
    # the change ended one user's sessions, not everybody's
    assert refresh_tokens.rotate(bystander.refresh_token).user_id == "acct_2"


def test_no_token_survives_its_family_s_end_by_a_reused_token(user: User, pool: ThreadPoolExecutor) -> None:
    for trial in range(TRIALS):
        session = begin(user)
        second = refresh_tokens.rotate(session.refresh_token)
        postgres.write(AGED, seconds=60)
        barrier = threading.Barrier(2)
        loop = pool.submit(rotate_on, second.refresh_token, 3, barrier)
        barrier.wait()
        with pytest.raises(TokenReused):
            refresh_tokens.rotate(session.refresh_token)
        loop.result()
        alive = count_rows("refresh_tokens", "revoked_at IS NULL AND family = cast(:f AS uuid)", f=session.session_id)
        assert alive == 0, trial


def test_no_token_survives_a_logout(user: User, pool: ThreadPoolExecutor) -> None:
    other = begin(user)
    for trial in range(TRIALS):
        session = begin(user)
        barrier = threading.Barrier(2)
        loop = pool.submit(rotate_on, session.refresh_token, 3, barrier)
        barrier.wait()
        refresh_tokens.revoke(session.refresh_token)
        loop.result()
        alive = count_rows("refresh_tokens", "revoked_at IS NULL AND family = cast(:f AS uuid)", f=session.session_id)
        assert alive == 0, trial
    assert refresh_tokens.rotate(other.refresh_token).session_id == other.session_id


def test_no_login_with_the_old_password_survives_the_new_one(
    user: User, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.accounts import sessions

    monkeypatch.setattr(sessions.passwords, "verify", lambda stored, given: stored == given)

    def log_in(verified: User, started: threading.Barrier) -> Session | None:
        started.wait()
        try:
            with postgres.transaction() as connection:
                locked = sessions.lock_verified(connection, verified, verified.password_hash or "")
                return refresh_tokens.begin(connection, locked.id)
        except LoginFailed:
            return None

    for trial in range(TRIALS):
        verified = people.find("acct_1")
        assert verified is not None
        barrier = threading.Barrier(2)
        attempt = pool.submit(log_in, verified, barrier)
        barrier.wait()
        change(user, f"hash {trial + 1}")
        session = attempt.result()
        if session is not None:
            assert_ended([session.refresh_token])
        postgres.write("DELETE FROM refresh_tokens")


def test_over_http_a_new_password_ends_refresh_loops_and_logins_at_the_same_time(accounts: httpx.Client) -> None:
    password = PASSWORD
    register(accounts)
    for trial in range(8):
        tokens = login(accounts, password=password).json()
        old: list[str] = [tokens["refresh_token"]]
        running = threading.Event()

        def loop(tokens_seen: list[str] = old, running: threading.Event = running) -> None:
            while (answer := refresh(accounts, tokens_seen[-1])).status_code == 200:
                tokens_seen.append(answer.json()["refresh_token"])
                running.set()

        def log_in(given: str = password, tokens_seen: list[str] = old) -> None:
            answer = login(accounts, password=given)
            if answer.status_code == 200:
                tokens_seen.insert(0, answer.json()["refresh_token"])

        threads = [threading.Thread(target=loop), threading.Thread(target=log_in)]
        for thread in threads:
            thread.start()
        running.wait(10)
        new = f"{NEW_PASSWORD} {trial}"
        changed = set_password(accounts, tokens, password, new)
        assert changed.status_code == 200, changed.text
        for thread in threads:
            thread.join()
        assert [refresh(accounts, token).status_code for token in old] == [401] * len(old)
        assert refresh(accounts, changed.json()).status_code == 200
        password = new


# what a lost answer, two tabs and a thief look like


def test_a_lost_answer_is_given_again_for_ten_seconds(accounts: httpx.Client) -> None:
    first = register(accounts)
    second = refresh(accounts, first).json()
    postgres.write(AGED, seconds=9)
    again = refresh(accounts, first)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == second["refresh_token"]
    assert refresh(accounts, again.json()).status_code == 200


def test_a_stolen_token_used_after_ten_seconds_ends_its_family_only(accounts: httpx.Client) -> None:
    first, elsewhere = register(accounts), login(accounts).json()
    second = refresh(accounts, first).json()
    postgres.write(AGED, seconds=11)
    assert refresh(accounts, first).json()["type"] == "urn:aisle:problem:token-reused"
    assert refresh(accounts, second).status_code == 401
    assert refresh(accounts, elsewhere).status_code == 200


def test_a_token_whose_successor_was_used_ends_its_family_even_within_ten_seconds(accounts: httpx.Client) -> None:
    first = register(accounts)
    third = refresh(accounts, refresh(accounts, first).json()).json()
    assert refresh(accounts, first).json()["type"] == "urn:aisle:problem:token-reused"
    assert refresh(accounts, third).status_code == 401


def test_two_tabs_that_refresh_at_once_stay_logged_in(accounts: httpx.Client) -> None:
    token = register(accounts)
    for _ in range(10):
        with ThreadPoolExecutor(2) as tabs:
            answers = list(tabs.map(lambda _tab, token=token: refresh(accounts, token), range(2)))
        assert [answer.status_code for answer in answers] == [200, 200]
        token = answers[0].json()
        assert answers[1].json()["refresh_token"] == token["refresh_token"]


def test_the_key_of_a_successor_is_deleted_when_the_successor_is_used(accounts: httpx.Client) -> None:
    first = register(accounts)
    second = refresh(accounts, first).json()
    assert count_rows("refresh_tokens", "successor_key IS NOT NULL") == 1
    refresh(accounts, second)
    assert count_rows("refresh_tokens", "successor_key IS NOT NULL") == 1


def test_a_refresh_elsewhere_leaves_a_lost_answer_repeatable(accounts: httpx.Client) -> None:
    here, elsewhere = register(accounts), login(accounts).json()
    lost = refresh(accounts, elsewhere).json()
    # uses a successor, so that the key of this family is deleted
    refresh(accounts, refresh(accounts, here).json())
    again = refresh(accounts, elsewhere)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == lost["refresh_token"]


def test_a_lost_answer_is_not_repeated_when_its_token_has_expired(accounts: httpx.Client) -> None:
    first, elsewhere = register(accounts), login(accounts).json()
    refresh(accounts, first)
    postgres.write(
        """UPDATE refresh_tokens SET expires_at = now() WHERE used_at IS NULL
           AND family = (SELECT family FROM refresh_tokens WHERE used_at IS NOT NULL)"""
    )
    assert refresh(accounts, first).status_code == 401
    assert refresh(accounts, elsewhere).status_code == 200


@pytest.mark.parametrize(("days", "status"), [(29.99, 200), (30.01, 401)])
def test_a_session_ends_after_thirty_days_however_often_it_is_refreshed(
    accounts: httpx.Client, days: float, status: int
) -> None:
    tokens = refresh(accounts, register(accounts)).json()
    postgres.write(
        """UPDATE refresh_tokens SET started_at = started_at - :age * interval '1 day',
        expires_at = least(expires_at, started_at - :age * interval '1 day' + interval '30 days')""",
        age=days,
    )
    answer = refresh(accounts, tokens)
    assert answer.status_code == status
    if status == 200:
        rows = postgres.read(
            """SELECT max(expires_at) - max(started_at) <= interval '30 days',
                      max(expires_at) < now() + interval '0.011 days' FROM refresh_tokens"""
        )
        assert tuple(rows[0]) == (True, True)


# access tokens, where a session's end counts at once


def sensitive(client: httpx.Client, tokens: dict[str, Any]) -> dict[str, int]:
    """Return the status of each route that looks sessions up; none of the requests changes anything."""
    mine = bearer(tokens)
    return {
        "GET /users/me": client.get("/users/me", headers=mine).status_code,
        "GET /users/me/export": client.get("/users/me/export", headers=mine).status_code,
        "PATCH /users/me": client.patch("/users/me", json={"city": "Berlin"}, headers=mine).status_code,
        "POST /auth/password": set_password(client, tokens, PASSWORD, "password1").status_code,
    }


REFUSED = {
    "GET /users/me": 401,
    "GET /users/me/export": 401,
    "PATCH /users/me": 401,
    "POST /auth/password": 401,
}
ACCEPTED = REFUSED | {
    "GET /users/me": 200,
    "GET /users/me/export": 200,
    "PATCH /users/me": 200,
    "POST /auth/password": 422,
}


def end_by_password(client: httpx.Client, tokens: dict[str, Any], _elsewhere: dict[str, Any]) -> None:
    assert set_password(client, tokens).status_code == 200


def end_by_logout(client: httpx.Client, tokens: dict[str, Any], _elsewhere: dict[str, Any]) -> None:
    assert client.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]}).status_code == 204


def end_by_reuse(client: httpx.Client, tokens: dict[str, Any], _elsewhere: dict[str, Any]) -> None:
    refresh(client, tokens)
    postgres.write(AGED, seconds=11)
    assert refresh(client, tokens).status_code == 401


@pytest.mark.parametrize(
    ("end", "elsewhere_too"), [(end_by_password, True), (end_by_logout, False), (end_by_reuse, False)]
)
def test_the_access_token_of_an_ended_session_is_refused_at_once(
    accounts: httpx.Client, end: Any, elsewhere_too: bool
) -> None:
    tokens, bystander = register(accounts), register(accounts, "bob")
    elsewhere = login(accounts).json()
    assert sensitive(accounts, tokens) == ACCEPTED
    end(accounts, tokens, elsewhere)
    assert sensitive(accounts, tokens) == REFUSED
    assert sensitive(accounts, elsewhere) == (REFUSED if elsewhere_too else ACCEPTED)
    assert sensitive(accounts, bystander) == ACCEPTED
    assert accounts.delete("/users/me", headers=bearer(tokens)).status_code == 401
    assert count_rows("users") == 2


def test_the_token_that_comes_with_a_new_password_is_accepted(accounts: httpx.Client) -> None:
    earlier, tokens, later = (register(accounts, name) for name in ("bea", "ada", "cleo"))
    changed = set_password(accounts, tokens).json()
    assert sensitive(accounts, changed) == ACCEPTED | {"POST /auth/password": 422}
    assert sensitive(accounts, refresh(accounts, changed).json())["GET /users/me"] == 200
    # everybody else stays logged in
    for others in (earlier, later):
        assert accounts.get("/users/me", headers=bearer(others)).status_code == 200
        assert refresh(accounts, others).status_code == 200


def test_admin_routes_refuse_an_ended_session_and_a_role_that_was_taken(accounts: httpx.Client, serve: Serve) -> None:
    admin = serve("admin")
    register(accounts, "boss")
    register(accounts, "other")
    postgres.write("UPDATE users SET role = 'admin'")
    boss, other = login(accounts, "boss").json(), login(accounts, "other").json()
    assert [admin.get("/admin/users", headers=bearer(one)).status_code for one in (boss, other)] == [200, 200]
    path = f"/admin/users/{other['user_id']}/role"
    assert admin.put(path, json={"role": "user"}, headers=bearer(boss)).status_code == 200
    assert [admin.get("/admin/users", headers=bearer(one)).status_code for one in (boss, other)] == [200, 401]
    # no token of the former role is exchanged; with the next login it is what the role may not
    assert refresh(accounts, other).status_code == 401
    assert admin.get("/admin/users", headers=bearer(login(accounts, "other").json())).status_code == 403
    accounts.post("/auth/logout", json={"refresh_token": boss["refresh_token"]})
    assert admin.get("/admin/users", headers=bearer(boss)).status_code == 401
