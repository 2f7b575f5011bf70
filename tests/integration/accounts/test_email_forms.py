"""Whoever registers can log in with the same text, and one mailbox is one account."""

from collections.abc import Callable
from unicodedata import normalize

import httpx
import pytest

from shared.clients import postgres
from shared.storage.people import accounts as people
from shared.storage.people import canonical_emails
from tests.integration.people import PASSWORD, bearer, register
from tests.integration.tables import count_rows

Serve = Callable[[str], httpx.Client]
# how one mailbox may be typed; the first is the canonical form
MAILBOXES = {
    "decomposed": ("jürgen@example.com", "ju\u0308rgen@example.com", "JÜRGEN@EXAMPLE.COM", "JU\u0308RGEN@example.com"),
    "full width": ("ada@example.com", "ａｄａ@example.com", "ＡＤＡ＠ｅｘａｍｐｌｅ．ｃｏｍ", " Ada@Example.com "),
    "dotted I": ("ilker@example.com", "İlker@example.com", "i\u0307lker@example.com", "İLKER@EXAMPLE.COM"),
    "domain": ("joe@münchen.de", "joe@xn--mnchen-3ya.de", "JOE@MU\u0308NCHEN.DE", "joe@XN--MNCHEN-3YA.de"),
    "sharp s": ("ada@straße.de", "ada@xn--strae-oqa.de"),
}
APART = [
    ("strasse@example.com", "straße@example.com"),
    ("ilker@example.com", "ılker@example.com"),
    ("ada@strasse.de", "ada@straße.de"),
    ("jurgen@example.com", "jürgen@example.com"),
]


def log_in(accounts: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return accounts.post("/auth/login", json={"email": email, "password": password})


@pytest.mark.parametrize("forms", MAILBOXES.values(), ids=MAILBOXES)
def test_an_account_is_found_by_every_form_of_its_email(
    env: dict[str, str], serve: Serve, forms: tuple[str, ...]
) -> None:
    accounts = serve("accounts")
    register(accounts, "bystander", email="bystander@example.com")
    for typed in forms:
        mine = register(accounts, "mine", email=typed)
        assert accounts.get("/users/me", headers=bearer(mine)).json()["email"] == forms[0]
        for email in forms:
            answer = log_in(accounts, email)
            assert (answer.status_code, answer.json().get("user_id")) == (200, mine["user_id"]), email
        body = {"username": "second", "email": forms[-1], "password": PASSWORD}
        assert accounts.post("/auth/register", json=body).json()["type"] == "urn:aisle:problem:email-taken"
        assert count_rows("users", "email IS NOT NULL") == 2
        assert accounts.delete("/users/me", headers=bearer(mine)).status_code == 204


@pytest.mark.parametrize(("first", "second"), APART)
def test_two_mailboxes_are_two_accounts(env: dict[str, str], serve: Serve, first: str, second: str) -> None:
    accounts = serve("accounts")
    ids = [register(accounts, name, email=email)["user_id"] for name, email in (("one", first), ("two", second))]
    assert [log_in(accounts, email).json()["user_id"] for email in (first, second)] == ids
    assert ids[0] != ids[1]


def test_a_profile_takes_no_other_form_of_somebody_s_email(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    register(accounts, "joe", email="joe@münchen.de")
    ada = bearer(register(accounts, "ada"))
    body = {"email": "Joe@xn--mnchen-3ya.de", "password": PASSWORD}
    assert accounts.patch("/users/me", json=body, headers=ada).status_code == 409
    assert accounts.get("/users/me", headers=ada).json()["email"] == "ada@example.com"
    body["email"] = "ju\u0308rgen@xn--mnchen-3ya.de"
    changed = accounts.patch("/users/me", json=body, headers=ada)
    assert (changed.status_code, changed.json()["email"]) == (200, "jürgen@münchen.de")
    # the password is checked by the email as it is stored
    assert log_in(accounts, "jürgen@münchen.de").status_code == 200


def test_guesses_at_every_form_of_an_email_are_guesses_at_one_account(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    forms = MAILBOXES["domain"]
    register(accounts, "joe", email=forms[0])
    register(accounts, "bystander", email="joe@munchen.de")
    assert [log_in(accounts, email, "a guess at it").status_code for email in (*forms, *forms[:2])] == [401] * 5 + [429]
    assert log_in(accounts, "joe@munchen.de").status_code == 200


def test_an_email_has_no_invisible_characters(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    for place in ("x{}y@example.com", "xy@exa{}mple.com", "xy@exü{}mple.com", "{}xy@example.com"):
        for character in ("\u200b", "\u00ad", "\u202e", "\u0007", "\u2060"):
            body = {"username": "ada", "email": place.format(character), "password": PASSWORD}
            assert accounts.post("/auth/register", json=body).status_code == 422, ascii(body)
    assert count_rows("users") == 0


def test_a_domain_that_idna_forbids_is_refused_and_finds_nobody(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    for email in ("a@xn--a.de", "a@☃.de", "a@" + "ü" * 64 + ".de", "a@-ü.de", "a@ü..de"):
        body = {"username": "ada", "email": email, "password": PASSWORD}
        assert accounts.post("/auth/register", json=body).status_code == 422, email
        assert log_in(accounts, email).status_code == 401


def test_staff_find_an_account_by_every_form_of_its_email(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    boss = register(accounts, "boss")
    mine = register(accounts, "joe", email="joe@münchen.de")["user_id"]
    postgres.write("UPDATE users SET role = 'admin' WHERE username = 'boss'")
    token = accounts.post("/auth/refresh", json={"refresh_token": boss["refresh_token"]}).json()
    admin = serve("admin")
    for email in MAILBOXES["domain"]:
        page = admin.get("/admin/users", params={"email": email}, headers=bearer(token)).json()
        assert [user["user_id"] for user in page["users"]] == [mine], page


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_username_and_a_city_are_the_same_in_every_form(env: dict[str, str], serve: Serve, form: str) -> None:
    accounts = serve("accounts")
    name, city = "Jürgen" + "é" * 44, "é" * 100
    mine = bearer(register(accounts, normalize(form, name), email="j@example.com"))
    answer = accounts.patch("/users/me", json={"city": normalize(form, city)}, headers=mine)
    assert (answer.json()["username"], answer.json()["city"]) == (name, city)
    body = {"username": name, "email": "k@example.com", "password": PASSWORD}
    assert accounts.post("/auth/register", json=body).json()["type"] == "urn:aisle:problem:username-taken"
    # U+FDFA is eighteen letters, and the limit counts them
    assert accounts.patch("/users/me", json={"city": "\ufdfa" * 6}, headers=mine).status_code == 422


@pytest.fixture
def older(env: dict[str, str], serve: Serve) -> dict[str, str]:
    """Accounts whose emails an earlier release stored as they were typed: email by user id."""
    accounts = serve("accounts")
    stored = {
        "one": "Joe@xn--mnchen-3ya.de",
        # the same mailbox, younger
        "two": "joe@münchen.de",
        "three": "Ada@Example.com",
        "four": "bob@example.com",
        "five": "kim@xn--mnchen-3ya.de",
        # the mailbox of "five" with another full stop, younger
        "six": "kim@xn--mnchen-3ya\u3002de",
    }
    ids = {name: register(accounts, name)["user_id"] for name in stored}
    for name, email in stored.items():
        postgres.write("UPDATE users SET email = :email WHERE external_id = :id", email=email, id=ids[name])
    return {ids[name]: email for name, email in stored.items()}


def emails() -> dict[str, str]:
    return {row[0]: row[1] for row in postgres.read("SELECT external_id, email FROM users")}


def test_stored_emails_become_canonical_and_no_account_loses_its_login(serve: Serve, older: dict[str, str]) -> None:
    def owners() -> list[str]:
        return [user.user_id for email in older.values() if (user := people.find_by_email(email)) is not None]

    assert owners() == list(older)
    answer = serve("retention").post("/", json={})
    assert answer.json()["emails_made_canonical"] == 2
    ids = list(older)
    # of two accounts with one mailbox, neither is changed where one has the canonical form
    assert emails() == older | {ids[2]: "ada@example.com", ids[4]: "kim@münchen.de"}
    # each owner still logs in with the text of the registration
    assert owners() == list(older)
    assert canonical_emails.make_canonical() == 0
