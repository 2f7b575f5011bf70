"""Guessing is slowed down for the guesser, and for nobody else."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from shared.clients import postgres
from shared.errors import LockedOut
from shared.storage.people import login_failures
from tests.integration.conftest import settings_of
from tests.integration.people import PASSWORD, bearer, register
from tests.integration.tables import count_rows

Serve = Callable[[str], httpx.Client]
OWNER, GUESSER, BYSTANDER = "192.0.2.1", "192.0.2.66", "192.0.2.99"


@pytest.fixture
def shop(env: dict[str, str], serve: Serve) -> Iterator[httpx.Client]:
    """The accounts function behind one proxy; the client that a test names is what the proxy saw."""
    with settings_of(env | {"TRUSTED_PROXIES": "1"}):
        yield serve("accounts")


def at(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": f"10.0.0.1, {address}"}


def login(client: httpx.Client, address: str, password: str = PASSWORD, email: str = "ada@example.com") -> int:
    body = {"email": email, "password": password}
    return client.post("/auth/login", json=body, headers=at(address)).status_code


def register_at(client: httpx.Client, address: str, name: str, email: str) -> int:
    body = {"username": name, "email": email, "password": PASSWORD}
    return client.post("/auth/register", json=body, headers=at(address)).status_code


def hold() -> None:
    """Let everybody who must wait do so for an hour: the first wait is shorter than a request on a busy machine."""
    postgres.write("UPDATE login_failures SET locked_until = now() + interval '1 hour' WHERE locked_until IS NOT NULL")


def test_guesses_lock_the_guesser_out_and_not_the_owner(shop: httpx.Client) -> None:
    register(shop)
    assert [login(shop, GUESSER, "a guess at it") for _ in range(5)] == [401] * 5
    hold()
    assert login(shop, GUESSER, "a guess at it") == 429
    # neither the right password nor a registration helps the guesser; the owner logs in, from wherever they are
    assert login(shop, GUESSER) == 429
    assert register_at(shop, GUESSER, "eve", "ada@example.com") == 429
    assert login(shop, OWNER) == 200
    assert login(shop, BYSTANDER) == 200
    # the owner's success does not let the guesser go on
    assert login(shop, GUESSER) == 429


def test_registrations_with_somebody_s_email_do_not_lock_them_out(shop: httpx.Client) -> None:
    register(shop)
    assert [register_at(shop, GUESSER, f"eve{number}", "ADA@example.com") for number in range(5)] == [409] * 5
    hold()
    assert register_at(shop, GUESSER, "eve5", "ADA@example.com") == 429
    assert login(shop, OWNER) == 200


def test_an_ipv6_household_is_one_guesser(shop: httpx.Client) -> None:
    register(shop)
    assert [login(shop, f"2001:db8:1:2::{number:x}", "a guess at it") for number in range(1, 6)] == [401] * 5
    hold()
    assert login(shop, "2001:db8:1:2::6", "a guess at it") == 429
    assert login(shop, "2001:db8:1:3::1") == 200


def test_many_addresses_that_guess_at_one_account_must_wait_and_a_known_address_need_not(
    env: dict[str, str],
) -> None:
    email, other = "ada@example.com", "bob@example.com"
    login_failures.record_success(email, OWNER)
    for number in range(100):
        login_failures.begin_attempt(email, f"198.51.100.{number}")
    with pytest.raises(LockedOut):
        login_failures.begin_attempt(email, "198.51.100.200")
    login_failures.begin_attempt(email, OWNER)
    login_failures.begin_attempt(other, "198.51.100.200")
    # an address is known for thirty days
    aged = "UPDATE login_failures SET succeeded_at = now() - interval '30 days' + cast(:rest AS interval)"
    postgres.write(aged, rest="1 minute")
    login_failures.begin_attempt(email, OWNER)
    postgres.write(aged, rest="-1 minute")
    with pytest.raises(LockedOut):
        login_failures.begin_attempt(email, OWNER)


def test_ninety_nine_guesses_from_many_addresses_lock_nobody_out(env: dict[str, str]) -> None:
    for number in range(99):
        login_failures.begin_attempt("ada@example.com", f"198.51.100.{number}")
    login_failures.begin_attempt("ada@example.com", "198.51.100.200")


def test_every_spelling_that_finds_an_account_counts_as_one(shop: httpx.Client) -> None:
    email = "iris@example.com"
    register(shop, "iris", email=email)
    spellings = ["iris@example.com", "IRIS@example.com", "İris@example.com", "İrİs@EXAMPLE.com", "ırıs@example.com"]
    # what finds the account has the account's attempts; what does not find it cannot guess its password
    finding = spellings[:4]
    subjects = {login_failures.account_subject(one) for one in finding}
    assert login_failures.account_subject(spellings[4]) not in subjects
    assert subjects == {login_failures.account_subject(email)}
    for one in spellings:
        assert (login(shop, OWNER, email=one) == 200) == (one in finding)


def test_a_profile_s_new_email_is_an_attempt_like_a_registration_s(shop: httpx.Client) -> None:
    register(shop)
    eve = bearer(register(shop, "eve"))

    def try_email(email: str) -> int:
        body = {"email": email, "password": PASSWORD}
        return shop.patch("/users/me", json=body, headers=eve | at(GUESSER)).status_code

    assert [try_email("ada@example.com") for _ in range(5)] == [409] * 5
    hold()
    assert try_email("ada@example.com") == 429
    address = login_failures.address_subject(GUESSER)
    assert count_rows("login_failures", "subject = :s AND failures = 5", s=address) == 1
    # the address counts the emails it tried, as with registrations: after fifty it must wait
    postgres.write("UPDATE login_failures SET failures = 48 WHERE subject = :s", s=address)
    register(shop, "bob")
    register(shop, "carol")
    assert [try_email(f"{name}@example.com") for name in ("bob", "carol")] == [409, 409]
    hold()
    assert try_email("dan@example.com") == 429
    # own emails and other addresses are not affected
    assert login(shop, OWNER) == 200
    changed = shop.patch("/users/me", json={"email": "eve2@example.com", "password": PASSWORD}, headers=eve | at(OWNER))
    assert changed.status_code == 200


def test_a_taken_username_is_no_attempt_on_the_email(shop: httpx.Client) -> None:
    register(shop)
    for _ in range(7):
        assert register_at(shop, OWNER, "ada", "new@example.com") == 409
    assert register_at(shop, OWNER, "new", "new@example.com") == 201
    eve = bearer(register(shop, "eve")) | at(OWNER)
    change = {"username": "ada", "email": "newer@example.com", "password": PASSWORD}
    assert [shop.patch("/users/me", json=change, headers=eve).status_code for _ in range(7)] == [409] * 7
    assert shop.patch("/users/me", json=change | {"username": "newer"}, headers=eve).status_code == 200


def test_erasure_deletes_every_count_of_the_account_and_no_other(shop: httpx.Client) -> None:
    tokens = register(shop)
    register(shop, "bob")
    login(shop, GUESSER, "a guess at it")
    login(shop, GUESSER, "a guess at it", "bob@example.com")
    ada, bob = (login_failures.account_subject(f"{name}@example.com") for name in ("ada", "bob"))
    assert (
        count_rows("login_failures", "account = :a", a=ada) == count_rows("login_failures", "account = :a", a=bob) == 3
    )
    assert shop.delete("/users/me", headers=bearer(tokens)).status_code == 204
    assert count_rows("login_failures", "account = :a", a=ada) == 0
    assert count_rows("login_failures", "account = :a", a=bob) == 3


def test_an_attempt_that_is_taken_back_takes_no_other_back(env: dict[str, str]) -> None:
    for _ in range(4):
        login_failures.begin_attempt("ada@example.com", GUESSER)
        login_failures.begin_attempt("ada@example.com", BYSTANDER)
    # a registration whose username was taken told nothing about the email
    login_failures.begin_attempt("ada@example.com", GUESSER)
    login_failures.take_back("ada@example.com", GUESSER)
    for address in (GUESSER, BYSTANDER):
        # four attempts are counted, so that the fifth is the last one that is free
        login_failures.begin_attempt("ada@example.com", address)
        with pytest.raises(LockedOut):
            login_failures.begin_attempt("ada@example.com", address)


def test_each_further_attempt_waits_twice_as_long_up_to_a_quarter_of_an_hour(env: dict[str, str]) -> None:
    def attempt(address: str) -> float | None:
        """Make an attempt once the wait is over; return the seconds of the next wait."""
        postgres.write("UPDATE login_failures SET locked_until = clock_timestamp() WHERE locked_until IS NOT NULL")
        login_failures.begin_attempt("ada@example.com", address)
        pair = login_failures._pair_subject(login_failures.account_subject("ada@example.com"), address)
        (row,) = postgres.read(
            "SELECT extract(epoch FROM locked_until - last_at)::float8 FROM login_failures WHERE subject = :s", s=pair
        )
        return None if row[0] is None else round(row[0])

    assert [attempt(GUESSER) for _ in range(15)] == [None] * 4 + [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    # another address has attempts of its own
    assert attempt(BYSTANDER) is None
    # failures are forgotten after a day without an attempt, and not before
    aged = "UPDATE login_failures SET last_at = clock_timestamp() - interval '1 day' + cast(:rest AS interval)"
    postgres.write(aged, rest="1 minute")
    assert attempt(GUESSER) == 900
    postgres.write(aged, rest="-1 minute")
    assert [attempt(GUESSER) for _ in range(5)] == [None] * 4 + [2]
