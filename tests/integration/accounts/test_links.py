"""Mailed links verify an address and reset a password: the account belongs to the reader of the mailbox."""

import logging
import re
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.logs import JsonFormatter
from shared.mail import sending
from shared.storage.operations import audit
from shared.storage.paging import Place
from shared.storage.people import login_failures
from tests.integration.concurrency import run_concurrently
from tests.integration.conftest import Serve, settings_of
from tests.integration.mailbox import Mailbox, mailbox_in
from tests.integration.people import PASSWORD, bearer, login, register
from tests.integration.tables import count_rows

NEW_PASSWORD = "three plums in the rain"
ADA, EVE = "ada@example.com", "eve@example.com"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def accounts(mails: Mailbox, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    # long enough for a message to be written, short enough for many tests
    monkeypatch.setattr(sending, "WAIT_S", 0.3)
    return serve("accounts")


@pytest.fixture
def eve(accounts: httpx.Client) -> dict[str, Any]:
    """A bystander."""
    return register(accounts, "eve")


def is_untouched(accounts: httpx.Client, eve: dict[str, Any]) -> bool:
    """Whether the bystander's session, password and address are as they were."""
    profile = accounts.get("/users/me", headers=bearer(eve)).json()
    return profile.get("email_verified") is False and login(accounts, "eve").status_code == 200


def request_reset(accounts: httpx.Client, email: str = ADA) -> httpx.Response:
    return accounts.post("/auth/password-reset", json={"email": email})


def reset_token(accounts: httpx.Client, mails: Mailbox, email: str = ADA) -> str:
    assert request_reset(accounts, email).status_code == 202
    return mails.token(email, "/auth/set-password")


def set_password(accounts: httpx.Client, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    return accounts.post("/auth/set-password", json={"token": token, "new_password": password})


# verification


def test_registering_mails_a_link_that_verifies_the_address_once(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    tokens = register(accounts)
    assert accounts.get("/users/me", headers=bearer(tokens)).json()["email_verified"] is False
    token = mails.token(ADA, "/auth/verify-email")
    answer = accounts.post("/auth/verify-email", json={"token": token})
    assert (answer.status_code, answer.content) == (204, b"")
    assert accounts.get("/users/me", headers=bearer(tokens)).json()["email_verified"] is True
    again = accounts.post("/auth/verify-email", json={"token": token})
    assert (again.status_code, again.json()["type"]) == (410, "urn:aisle:problem:link-expired")
    assert is_untouched(accounts, eve)
    assert ("email.verify", f"user:{tokens['user_id']}") in [
        (entry.action, entry.subject) for entry in audit.page(Place(9))[0]
    ]


def test_another_email_is_not_verified_until_its_own_link_is_used(accounts: httpx.Client, mails: Mailbox) -> None:
    headers = bearer(register(accounts))
    old = mails.token(ADA, "/auth/verify-email")
    change = {"email": "countess@example.com", "password": PASSWORD}
    assert accounts.patch("/users/me", json=change, headers=headers).json()["email_verified"] is False
    assert accounts.post("/auth/verify-email", json={"token": old}).status_code == 410
    token = mails.token("countess@example.com", "/auth/verify-email")
    assert accounts.post("/auth/verify-email", json={"token": token}).status_code == 204
    assert accounts.get("/users/me", headers=headers).json()["email_verified"] is True
    # the way back counts as another address too
    change = {"email": ADA, "password": PASSWORD}
    assert accounts.patch("/users/me", json=change, headers=headers).json()["email_verified"] is False


def test_a_change_of_something_else_sends_nothing(accounts: httpx.Client, mails: Mailbox) -> None:
    headers = bearer(register(accounts))
    for change in ({"city": "London"}, {"username": "countess"}, {"email": ADA, "password": PASSWORD}):
        assert accounts.patch("/users/me", json=change, headers=headers).status_code == 200
    assert len(mails.messages()) == 1


def test_a_further_verification_is_sent_until_the_address_is_verified(accounts: httpx.Client, mails: Mailbox) -> None:
    headers = bearer(register(accounts))
    first = mails.token(ADA, "/auth/verify-email")
    assert accounts.post("/auth/verification", headers=headers).status_code == 202
    second = mails.token(ADA, "/auth/verify-email")
    assert [accounts.post("/auth/verify-email", json={"token": token}).status_code for token in (first, second)] == [
        410,
        204,
    ]
    assert accounts.post("/auth/verification", headers=headers).status_code == 202
    assert len(mails.messages(ADA)) == 2
    assert accounts.post("/auth/verification").status_code == 401


# a forgotten password


def test_a_reset_sets_the_password_once_and_ends_every_session(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    tokens = register(accounts)
    token = reset_token(accounts, mails)
    answer = set_password(accounts, token)
    assert (answer.status_code, answer.content) == (204, b"")
    assert set_password(accounts, token, "another plum in the rain").status_code == 410
    assert login(accounts).status_code == 401
    assert accounts.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert accounts.get("/users/me", headers=bearer(tokens)).status_code == 401
    new = login(accounts, "ada", NEW_PASSWORD)
    assert new.status_code == 200
    # the link came through the mailbox, so it proves the address
    assert accounts.get("/users/me", headers=bearer(new.json())).json()["email_verified"] is True
    actions = [entry.action for entry in audit.page(Place(20), security=True)[0] if entry.actor == tokens["user_id"]]
    assert actions == ["login", "email.verify", "password.reset"]
    assert is_untouched(accounts, eve)


def test_the_owner_of_a_mailbox_takes_over_from_who_registered_it(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    squatter = register(accounts, username="squatter")
    refused = accounts.post("/auth/register", json={"username": "ada", "email": ADA, "password": NEW_PASSWORD})
    assert refused.status_code == 409
    assert set_password(accounts, reset_token(accounts, mails)).status_code == 204
    for attempt in (
        login(accounts),
        accounts.post("/auth/refresh", json={"refresh_token": squatter["refresh_token"]}),
        accounts.get("/users/me", headers=bearer(squatter)),
        accounts.patch("/users/me", json={"email": "x@example.com", "password": PASSWORD}, headers=bearer(squatter)),
    ):
        assert attempt.status_code == 401
    assert login(accounts, "ada", NEW_PASSWORD).json()["user_id"] == squatter["user_id"]
    assert is_untouched(accounts, eve)


def test_two_forms_at_the_same_moment_set_one_password(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    passwords = [f"plum number {number} of the rain" for number in range(4)]
    answers = run_concurrently(lambda password: set_password(accounts, token, password).status_code, passwords)
    assert sorted(answers) == [204, 410, 410, 410]
    logins = [login(accounts, "ada", password).status_code for password in passwords]
    assert [answer == 204 for answer in answers] == [status == 200 for status in logins]


def test_a_link_ends_when_the_password_is_changed_otherwise_or_a_newer_link_is_sent(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    tokens = register(accounts)
    first = reset_token(accounts, mails)
    second = reset_token(accounts, mails)
    assert set_password(accounts, first).status_code == 410
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    changed = accounts.post("/auth/password", json=change, headers=bearer(tokens))
    assert changed.status_code == 200
    assert set_password(accounts, second, "another plum in the rain").status_code == 410
    assert login(accounts, "ada", NEW_PASSWORD).status_code == 200
    assert is_untouched(accounts, eve)


def test_links_of_another_purpose_and_altered_links_are_refused_as_problems(
    accounts: httpx.Client, mails: Mailbox
) -> None:
    register(accounts)
    verification, reset = mails.token(ADA, "/auth/verify-email"), reset_token(accounts, mails)
    altered = reset[:-2] + ("AA" if reset[-2:] != "AA" else "BB")
    for token in (verification, altered, "x"):
        answer = set_password(accounts, token)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:aisle:problem:invalid-link")
    assert accounts.post("/auth/verify-email", json={"token": reset}).status_code == 422
    assert login(accounts).status_code == 200
    assert set_password(accounts, reset).status_code == 204


@pytest.mark.parametrize(("age_s", "status"), [(3_600 - 5, 204), (3_600 + 1, 410)])
def test_a_link_is_valid_for_an_hour(accounts: httpx.Client, mails: Mailbox, age_s: int, status: int) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    postgres.write(
        "UPDATE account_links SET expires_at = issued_at + interval '1 hour' - make_interval(secs => :s)", s=age_s
    )
    assert set_password(accounts, token).status_code == status


def test_a_refused_password_does_not_use_the_link_up(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    assert set_password(accounts, token, "password1").json()["type"] == "urn:aisle:problem:weak-password"
    assert set_password(accounts, token, ADA).status_code == 422
    assert set_password(accounts, token).status_code == 204


# without enumeration


def test_the_answer_is_the_same_and_takes_as_long_for_any_address(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    register(accounts)
    answers, took_s = [], []
    for email in (ADA, "nobody@example.com"):
        begun = time.monotonic()
        answers.append(request_reset(accounts, email))
        took_s.append(time.monotonic() - begun)
    assert len(mails.messages()) == 3  # two registrations, one reset
    known, unknown = answers
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    varying = {"date", "x-request-id", "ratelimit"}
    headers = [{name: value for name, value in answer.headers.items() if name not in varying} for answer in answers]
    assert headers[0] == headers[1]
    assert known.headers["cache-control"] == "no-store"
    assert all(sending.WAIT_S <= took < sending.WAIT_S + 5 for took in took_s), took_s
    assert is_untouched(accounts, eve)


def test_a_slow_mail_server_is_not_heard_in_the_answer(
    accounts: httpx.Client, mails: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(accounts)
    assert len(mails.messages()) == 1
    deliver, is_answered = sending.deliver, threading.Event()

    def deliver_slowly(mail: Any) -> None:
        # an answer that waited for the message would come after it
        is_answered.wait(20)
        deliver(mail)

    monkeypatch.setattr(sending, "deliver", deliver_slowly)
    try:
        assert request_reset(accounts).status_code == 202
        assert len(list(mails.folder.glob("*.eml"))) == 1
    finally:
        is_answered.set()
    assert len(mails.messages()) == 2


def test_requests_are_slowed_like_failed_logins_whether_the_address_is_known_or_not(
    accounts: httpx.Client, mails: Mailbox
) -> None:
    register(accounts)
    for email in (ADA, "nobody@example.com"):
        answers = [request_reset(accounts, email) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [202] * 5 + [429]
        assert answers[-1].headers["retry-after"] in ("1", "2")


def test_a_mailbox_is_not_filled_from_many_addresses(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    register(accounts)
    with settings_of({"TRUSTED_PROXIES": "1"}):
        for number in range(8):
            answer = accounts.post(
                "/auth/password-reset", json={"email": ADA}, headers={"X-Forwarded-For": f"192.0.2.{number}"}
            )
            assert answer.status_code == 202
    # five at once, the verification among them
    assert len(mails.messages(ADA)) == 5
    # the last link that was sent is still valid, and another mailbox has its own count
    assert set_password(accounts, mails.token(ADA, "/auth/set-password")).status_code == 204
    assert reset_token(accounts, mails, EVE)


def test_further_verifications_do_not_fill_a_mailbox_either(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    headers = bearer(register(accounts))
    for _ in range(6):
        assert accounts.post("/auth/verification", headers=headers).status_code == 202
    assert len(mails.messages(ADA)) == 5
    assert accounts.post("/auth/verification", headers=bearer(eve)).status_code == 202
    assert len(mails.messages(EVE)) == 2


def test_requests_for_many_addresses_lock_their_sender_out(accounts: httpx.Client, mails: Mailbox) -> None:
    sender = login_failures.address_subject("127.0.0.1")
    request_reset(accounts, "nobody-0@example.com")
    assert count_rows("login_failures", "subject = :s AND failures = 1", s=sender) == 1
    postgres.write("UPDATE login_failures SET failures = 48 WHERE subject = :s", s=sender)
    answers = [request_reset(accounts, f"nobody-{number}@example.com").status_code for number in range(1, 4)]
    assert answers == [202, 202, 429]


def test_who_was_locked_out_by_guesses_can_log_in_after_a_reset(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    for name in ("ada", "eve"):
        while login(accounts, name, "a wrong guess").status_code == 401:
            pass
    # guesses of a whole evening
    postgres.write(
        """UPDATE login_failures SET locked_until = now() + interval '10 minutes'
           WHERE failures >= 5 AND account IS NOT NULL"""
    )
    assert [login(accounts, name).status_code for name in ("ada", "eve")] == [429, 429]
    assert set_password(accounts, token).status_code == 204
    assert login(accounts, "ada", NEW_PASSWORD).status_code == 200
    # somebody else's lock stays
    assert login(accounts, "eve").status_code == 429


@pytest.mark.parametrize("own", ["ada.lovelace@example.com", "countess.of.lovelace"])
def test_a_new_password_must_not_be_what_everybody_knows_of_the_account(
    accounts: httpx.Client, mails: Mailbox, own: str
) -> None:
    email = "ada.lovelace@example.com"
    register(accounts, "countess.of.lovelace", email=email)
    token = reset_token(accounts, mails, email)
    assert set_password(accounts, token, own).json()["type"] == "urn:aisle:problem:weak-password"
    assert set_password(accounts, token).status_code == 204


# pages


def get_form(accounts: httpx.Client, path: str, token: str) -> httpx.Response:
    return accounts.get(path, params={"token": token})


def post_form(accounts: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return accounts.post(path, data=fields)


def test_opening_a_page_any_number_of_times_leaves_its_link_valid(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    for page, token, more in (
        ("/auth/verify-email", mails.token(ADA, "/auth/verify-email"), {}),
        ("/auth/set-password", reset_token(accounts, mails), {"new_password": NEW_PASSWORD}),
    ):
        assert [get_form(accounts, page, token).status_code for _ in range(3)] == [200] * 3
        assert accounts.head(page, params={"token": token}).status_code == 200
        answer = post_form(accounts, page, token=token, **more)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert get_form(accounts, page, token).status_code == 410
    assert login(accounts, "ada", NEW_PASSWORD).status_code == 200


def test_a_page_is_a_form_without_script_that_is_neither_stored_framed_nor_named_to_others(
    accounts: httpx.Client, mails: Mailbox
) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    for answer in (
        get_form(accounts, "/auth/set-password", token),
        get_form(accounts, "/auth/verify-email", mails.token(ADA, "/auth/set-password")),
        accounts.get("/auth/password-reset"),
        post_form(accounts, "/auth/set-password", token=token, new_password="password1"),
    ):
        headers = answer.headers
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script" not in policy + answer.text
    page = get_form(accounts, "/auth/set-password", token).text
    # relative, so that it works below a path of PUBLIC_URL too
    assert re.search(r'<form method="post" action="set-password">', page)
    assert f'<input type="hidden" name="token" value="{token}">' in page


@pytest.mark.parametrize("token", ['"><script>alert(1)</script>', "<b>", "x" * 201, "", "é"])
def test_what_is_in_the_address_is_not_written_into_the_page(accounts: httpx.Client, token: str) -> None:
    for page in ("/auth/set-password", "/auth/verify-email"):
        answer = get_form(accounts, page, token)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8")
        assert "<script" not in answer.text
        assert "<b>" not in answer.text
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_weak_password_is_said_on_the_form_which_can_be_sent_again(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    answer = post_form(accounts, "/auth/set-password", token=token, new_password="password1")
    assert answer.status_code == 422
    assert "choose a longer or less common one" in answer.text
    assert f'value="{token}"' in answer.text
    assert post_form(accounts, "/auth/set-password", token=token, new_password=NEW_PASSWORD).status_code == 200


def test_the_page_of_a_used_link_says_where_to_get_another(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    assert set_password(accounts, token).status_code == 204
    for answer in (
        get_form(accounts, "/auth/set-password", token),
        post_form(accounts, "/auth/set-password", token=token, new_password=NEW_PASSWORD),
    ):
        assert answer.status_code == 410
        assert '<a href="password-reset">Request a new link</a>' in answer.text


def test_the_form_of_a_forgotten_password_sends_the_same_mail(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    answers = [post_form(accounts, "/auth/password-reset", email=email) for email in (ADA, "nobody@example.com")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].text == answers[1].text
    assert set_password(accounts, mails.token(ADA, "/auth/set-password")).status_code == 204


@pytest.mark.parametrize("body", ["", "token", "token=a&token=b", "token=a&more=b", "token=%ff", "&" * 50, "token=é"])
def test_a_form_that_is_not_the_page_s_is_refused(accounts: httpx.Client, body: str) -> None:
    answer = accounts.post("/auth/verify-email", content=body.encode(), headers={"Content-Type": FORM})
    assert answer.status_code in (400, 422)


def test_other_routes_take_no_forms(accounts: httpx.Client) -> None:
    answer = accounts.post("/auth/login", data={"email": ADA, "password": PASSWORD})
    assert answer.status_code == 415


def test_tracking_parameters_of_mail_tools_do_not_break_a_link(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    token = reset_token(accounts, mails)
    answer = accounts.get("/auth/set-password", params={"token": token, "utm_source": "newsletter"})
    assert answer.status_code == 200


# mail that cannot be sent, and what is logged


def lines_of(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that was logged, with its fields."""
    # the client of this test logs addresses too
    own = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    return "\n".join(JsonFormatter().format(record) for record in own)


def test_mail_that_cannot_be_sent_fails_no_registration_and_is_logged_without_the_address(
    env: dict[str, str], serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with mailbox_in(blocked):
        accounts = serve("accounts")
        tokens = register(accounts)
        assert accounts.get("/users/me", headers=bearer(tokens)).status_code == 200
        assert request_reset(accounts).status_code == 202
    logged = lines_of(caplog)
    assert logged.count("mail not sent") == 2
    assert "cannot be written" in logged
    assert "ada" not in logged
    assert "token" not in logged


def test_without_mail_a_registration_succeeds_and_issues_nothing(env: dict[str, str], serve: Serve) -> None:
    accounts = serve("accounts")
    register(accounts)
    assert count_rows("account_links") == 0


def test_neither_addresses_nor_links_are_logged(
    accounts: httpx.Client, mails: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # the client of this test logs the URLs that it opens, and the run's log must not have them
    for client in ("httpx", "httpcore"):
        caplog.set_level(logging.WARNING, client)
    register(accounts)
    token = reset_token(accounts, mails)
    get_form(accounts, "/auth/set-password", token)
    assert set_password(accounts, token + "x").status_code == 422
    assert set_password(accounts, token).status_code == 204
    assert set_password(accounts, token).status_code == 410
    logged = lines_of(caplog)
    for secret in (token, *token.split("."), ADA, NEW_PASSWORD):
        assert secret not in logged


def test_messages_are_files_that_their_owner_alone_reads(accounts: httpx.Client, mails: Mailbox) -> None:
    register(accounts)
    assert mails.folder.stat().st_mode & 0o777 == 0o700
    (file,) = mails.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    (message,) = mails.messages()
    assert (message["To"], message["From"], message["Auto-Submitted"]) == (
        ADA,
        "Shop <shop@example.com>",
        "auto-generated",
    )


def test_links_are_exported_without_their_tokens_and_erased_with_the_account(
    accounts: httpx.Client, mails: Mailbox, eve: dict[str, Any]
) -> None:
    headers = bearer(register(accounts))
    token = reset_token(accounts, mails)
    exported = accounts.get("/users/me/export", headers=headers)
    assert sorted((link["purpose"], link["email"]) for link in exported.json()["account_links"]) == [
        ("reset_password", ADA),
        ("verify_email", ADA),
    ]
    assert exported.json()["profile"]["email_verified_at"] is None
    assert token not in exported.text
    assert EVE not in exported.text
    assert accounts.delete("/users/me", headers=headers).status_code == 204
    assert set_password(accounts, token).status_code == 410
    assert count_rows("account_links") == 1
    # the counts of messages name no account, and stay: a mailbox gets no more by being registered and erased in turn
    assert count_rows("login_failures", "account IS NOT NULL AND failures > 0") == 0


def test_a_page_whose_link_lost_its_token_says_so_and_json_names_the_field(accounts: httpx.Client) -> None:
    for path in ("/auth/set-password", "/auth/verify-email"):
        for token in ("", "?token=", "?token=" + "t" * 201):
            page = accounts.get(path + token)
            assert page.status_code == 422
            assert "The link is incomplete or was altered." in page.text
            assert "token:" not in page.text
            assert ("Request a new link" in page.text) is (path == "/auth/set-password")
        problem = accounts.post(path, json={"new_password": NEW_PASSWORD} if "password" in path else {}).json()
        assert problem["detail"] == "token: Field required"
