"""Tokens of links: signed for one purpose, refused when altered, and accepted across a rotation of keys."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from shared import account_links
from shared.account_links import LIFETIME_S, Purpose
from shared.clients import reset
from shared.errors import InvalidLink, MissingSetting

OLD, NEW = "old:" + "o" * 32, "new:" + "n" * 32
PURPOSES: tuple[Purpose, ...] = ("verify_email", "reset_password", "set_password")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TOKEN_KEYS", OLD)
    monkeypatch.setenv("PUBLIC_URL", "https://shop.example/api/")
    reset()
    yield
    reset()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_token_is_for_its_purpose_alone(purpose: Purpose) -> None:
    token = account_links.create(purpose)
    assert account_links.check(token, *PURPOSES) == purpose
    with pytest.raises(InvalidLink):
        account_links.check(token, *(other for other in PURPOSES if other != purpose))
    with pytest.raises(InvalidLink):
        account_links.check(token)


def test_an_altered_token_is_refused_wherever_it_was_altered() -> None:
    token = account_links.create("reset_password")
    nonce, _, mac = token.partition(".")
    other = account_links.create("reset_password")
    altered = [token[:place] + ("B" if token[place] == "A" else "A") + token[place + 1 :] for place in range(86)]
    # the last character of 43 carries 4 bits: another spelling of the same bytes is another token too
    altered += [nonce, f"{nonce}.", f".{mac}", f"{nonce}.{other.partition('.')[2]}", token + "A", f" {token}", "é" * 87]
    for text in altered:
        with pytest.raises(InvalidLink):
            account_links.check(text, *PURPOSES)
    assert account_links.check(token, *PURPOSES) == "reset_password"


def test_tokens_differ_and_so_do_their_digests() -> None:
    tokens = {account_links.create("set_password") for _ in range(50)}
    assert len({account_links.digest(token) for token in tokens}) == 50


def test_a_link_survives_a_new_key_but_not_the_end_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    token = account_links.create("verify_email")
    monkeypatch.setenv("TOKEN_KEYS", f"{NEW},{OLD}")
    reset()
    assert account_links.check(token, "verify_email") == "verify_email"
    monkeypatch.setenv("TOKEN_KEYS", NEW)
    reset()
    with pytest.raises(InvalidLink):
        account_links.check(token, "verify_email")


def test_an_address_leads_to_the_page_below_the_public_url() -> None:
    paths: dict[Purpose, str] = {
        "verify_email": "/api/auth/verify-email",
        "reset_password": "/api/auth/set-password",
        "set_password": "/api/auth/set-password",
    }
    for purpose, path in paths.items():
        token = account_links.create(purpose)
        url = urlsplit(account_links.address(purpose, token))
        assert (url.scheme, url.netloc, url.path) == ("https", "shop.example", path)
        assert parse_qs(url.query) == {"token": [token]}


@pytest.mark.parametrize("name", ["TOKEN_KEYS", "PUBLIC_URL"])
def test_without_a_setting_the_error_names_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    reset()
    with pytest.raises(MissingSetting, match=name):
        account_links.address("verify_email", account_links.create("verify_email"))


def test_a_link_that_gives_access_is_shorter_lived_than_one_that_verifies() -> None:
    assert LIFETIME_S == {"verify_email": 86_400, "reset_password": 3_600, "set_password": 3_600}
