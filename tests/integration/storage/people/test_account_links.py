"""Links in the database: used once, ended by time, by a newer link, by another address and by a new password."""

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.account_links import LIFETIME_S, SETS_PASSWORD, Purpose
from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.errors import InvalidLink, LinkExpired
from shared.storage.people import account_links, accounts, refresh_tokens
from shared.storage.people.accounts import User
from tests.integration.concurrency import run_concurrently
from tests.integration.tables import count_rows

PURPOSES: tuple[Purpose, ...] = ("verify_email", "reset_password", "set_password")


def add(name: str) -> User:
    with transaction() as connection:
        return accounts.add(
            connection, f"acct_{name}", username=name, email=f"{name}@example.com", password_hash="an-old-hash"
        )


@pytest.fixture
def ada(env: dict[str, str]) -> User:
    return add("ada")


@pytest.fixture
def eve(ada: User) -> tuple[User, dict[Purpose, str]]:
    """A bystander, with a link of each purpose that must stay valid."""
    user = add("eve")
    return user, {purpose: issue(user, purpose) for purpose in PURPOSES}


def issue(user: User, purpose: Purpose) -> str:
    """Issue a link and return its token."""
    with transaction() as connection:
        url = account_links.issue(connection, user, purpose)
    return parse_qs(urlsplit(url).query)["token"][0]


def use(token: str, *purposes: Purpose) -> str:
    with transaction() as connection:
        return account_links.use(connection, token, *purposes)[0].user_id


def is_valid(token: str, purpose: Purpose) -> bool:
    try:
        account_links.find(token, purpose)
    except LinkExpired:
        return False
    return True


def all_valid(tokens: dict[Purpose, str]) -> bool:
    return all(is_valid(token, purpose) for purpose, token in tokens.items())


def test_a_link_is_found_any_number_of_times_and_used_once(ada: User, eve: tuple[User, dict[Purpose, str]]) -> None:
    token = issue(ada, "reset_password")
    assert [account_links.find(token, *SETS_PASSWORD) for _ in range(3)] == ["acct_ada"] * 3
    assert use(token, *SETS_PASSWORD) == "acct_ada"
    with pytest.raises(LinkExpired):
        use(token, *SETS_PASSWORD)
    with pytest.raises(LinkExpired):
        account_links.find(token, *SETS_PASSWORD)
    assert all_valid(eve[1])


def test_a_link_that_is_used_twice_at_the_same_moment_is_used_once(ada: User) -> None:
    for _ in range(20):
        token = issue(ada, "set_password")

        def attempt(_number: int, token: str = token) -> bool:
            try:
                return use(token, *SETS_PASSWORD) == "acct_ada"
            except LinkExpired:
                return False

        assert sorted(run_concurrently(attempt, range(4))) == [False, False, False, True]


def test_a_link_waits_for_a_new_password_that_is_being_set_and_ends_with_it(
    ada: User, eve: tuple[User, dict[Purpose, str]]
) -> None:
    token = issue(ada, "reset_password")

    def use_it() -> None:
        with transaction() as connection:
            user, _purpose = account_links.use(connection, token, *SETS_PASSWORD)
            accounts.set_password(connection, user, "the hash of the link")

    with ThreadPoolExecutor(1) as pool:
        with transaction() as connection:
            assert accounts.lock(connection, ada.user_id) is not None
            accounts.set_password(connection, ada, "the hash of the change")
            refresh_tokens.revoke_all(connection, ada.id)
            used = pool.submit(use_it)
            wait_for_lock()
        with pytest.raises(LinkExpired):
            used.result(10)
    assert accounts.get_holder(ada.user_id).password_hash == "the hash of the change"
    assert all_valid(eve[1])


def wait_for_lock() -> None:
    """Return as soon as a statement of this database waits for a lock."""
    deadline = time.monotonic() + 60
    while not postgres.read(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ):
        assert time.monotonic() < deadline, "nothing waits"
        time.sleep(0.01)


def test_a_link_stays_valid_if_its_use_is_rolled_back(ada: User) -> None:
    token = issue(ada, "set_password")

    def fail_after_use() -> None:
        with transaction() as connection:
            account_links.use(connection, token, "set_password")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_use()
    assert use(token, "set_password") == "acct_ada"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_link_lives_for_its_time_and_no_second_longer(
    ada: User, eve: tuple[User, dict[Purpose, str]], purpose: Purpose
) -> None:
    token = issue(ada, purpose)
    age = """UPDATE account_links SET issued_at = issued_at - make_interval(secs => :s),
        expires_at = expires_at - make_interval(secs => :s) WHERE user_id = :id"""
    assert (
        postgres.read(
            "SELECT extract(epoch FROM expires_at - issued_at)::int FROM account_links WHERE user_id = :id", id=ada.id
        )[0][0]
        == LIFETIME_S[purpose]
    )
    # three seconds for a slow machine to look before the end
    postgres.write(age, s=LIFETIME_S[purpose] - 3, id=ada.id)
    assert is_valid(token, purpose)
    postgres.write(age, s=4, id=ada.id)
    assert not is_valid(token, purpose)
    with pytest.raises(LinkExpired):
        use(token, purpose)
    assert all_valid(eve[1])


def test_a_newer_link_ends_the_earlier_one_of_its_purpose(ada: User, eve: tuple[User, dict[Purpose, str]]) -> None:
    tokens = {purpose: issue(ada, purpose) for purpose in PURPOSES}
    newer = issue(ada, "reset_password")
    assert not is_valid(tokens["reset_password"], "reset_password")
    assert is_valid(newer, "reset_password")
    # whoever requests a reset for an address must not be able to end the link of its new admin
    assert is_valid(tokens["set_password"], "set_password")
    assert is_valid(tokens["verify_email"], "verify_email")
    assert all_valid(eve[1])


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_newer_link_has_its_whole_time_and_the_address_of_now(ada: User, purpose: Purpose) -> None:
    issue(ada, purpose)
    postgres.write("UPDATE account_links SET issued_at = issued_at - interval '2 days', expires_at = now()")
    postgres.write("UPDATE users SET email = 'ada@other.example' WHERE id = :id", id=ada.id)
    with transaction() as connection:
        refresh_tokens.revoke_all(connection, ada.id)
    newer = issue(ada, purpose)
    assert is_valid(newer, purpose)
    lifetime, age = postgres.read(
        """SELECT extract(epoch FROM expires_at - issued_at)::int, extract(epoch FROM now() - issued_at)::int
           FROM account_links"""
    )[0]
    assert (lifetime, age < 60) == (LIFETIME_S[purpose], True)


def test_what_ends_all_sessions_ends_the_links_that_set_a_password(
    ada: User, eve: tuple[User, dict[Purpose, str]]
) -> None:
    tokens = {purpose: issue(ada, purpose) for purpose in PURPOSES}
    with transaction() as connection:
        refresh_tokens.revoke_all(connection, ada.id)
    assert [is_valid(token, purpose) for purpose, token in tokens.items()] == [True, False, False]
    assert all_valid(eve[1])


def test_another_address_ends_every_link_and_is_not_verified(ada: User, eve: tuple[User, dict[Purpose, str]]) -> None:
    tokens = {purpose: issue(ada, purpose) for purpose in PURPOSES}
    for user in (ada, eve[0]):
        with transaction() as connection:
            accounts.set_email_verified(connection, user)
    # case makes no other address; these are the statements of the previous release
    postgres.write("UPDATE users SET email = 'ADA@example.com' WHERE id = :id", id=ada.id)
    assert all_valid(tokens)
    assert count_rows("users", "email_verified_at IS NOT NULL") == 2
    postgres.write(
        "UPDATE users SET username = 'a', email = 'ada@other.example', city = NULL WHERE id = :id", id=ada.id
    )
    assert not any(is_valid(token, purpose) for purpose, token in tokens.items())
    assert [row[0] for row in postgres.read("SELECT external_id FROM users WHERE email_verified_at IS NOT NULL")] == [
        "acct_eve"
    ]
    assert all_valid(eve[1])


def test_a_link_of_another_purpose_is_invalid_and_stays_valid_for_its_own(ada: User) -> None:
    token = issue(ada, "verify_email")
    with pytest.raises(InvalidLink):
        use(token, *SETS_PASSWORD)
    assert use(token, "verify_email") == "acct_ada"


def test_neither_tokens_nor_links_are_stored(ada: User) -> None:
    token = issue(ada, "reset_password")
    stored = str(postgres.read("SELECT json_agg(l)::text FROM account_links l")[0][0])
    assert token not in stored
    assert all(part not in stored for part in token.split("."))


def test_a_link_ends_with_its_account(ada: User, eve: tuple[User, dict[Purpose, str]]) -> None:
    token = issue(ada, "set_password")
    postgres.write("DELETE FROM users WHERE id = :id", id=ada.id)
    assert not is_valid(token, "set_password")
    assert count_rows("account_links") == len(eve[1])


def test_a_link_leads_to_no_other_account_that_takes_the_address(
    ada: User, eve: tuple[User, dict[Purpose, str]]
) -> None:
    tokens = {purpose: issue(ada, purpose) for purpose in PURPOSES}
    for user, email in ((ada, "ada@other.example"), (eve[0], "ada@example.com")):
        postgres.write("UPDATE users SET email = :email WHERE id = :id", email=email, id=user.id)
    for purpose, token in tokens.items():
        assert not is_valid(token, purpose)
        with pytest.raises(LinkExpired):
            use(token, purpose)
