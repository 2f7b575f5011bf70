"""What stands for the sender of events, and what a request notes about it."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from shared.clients import reset
from shared.domain.counting import AGENT_GROUPS
from shared.event_origin import VOUCHED, Origin, client_key, current, sent_by

DAY = date(2026, 11, 25)
NETWORK = "198.51.100.0/24"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("API_MAC_KEYS", "k1:" + "1" * 32)
    reset()
    yield
    reset()


def test_the_same_client_has_the_same_key_on_the_same_day_only() -> None:
    key = client_key(NETWORK, "Firefox", DAY)
    assert key == client_key(NETWORK, "Firefox", DAY)
    others = [(NETWORK, "Firefox", DAY + timedelta(days=1)), ("198.51.101.0/24", "Firefox", DAY)]
    assert len({key, *(client_key(*other) for other in others)}) == 3
    assert "198.51" not in key


def test_a_client_that_invents_user_agents_is_few_clients() -> None:
    keys = {client_key(NETWORK, f"agent {number}", DAY) for number in range(1000)}
    assert len(keys) == AGENT_GROUPS


def test_the_key_depends_on_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    before = client_key(NETWORK, "Firefox", DAY)
    monkeypatch.setenv("API_MAC_KEYS", "k2:" + "2" * 32)
    reset()
    rotated = client_key(NETWORK, "Firefox", DAY)
    monkeypatch.delenv("API_MAC_KEYS")
    reset()
    without = client_key(NETWORK, "Firefox", DAY)
    assert without == client_key(NETWORK, "Firefox", DAY)
    assert len({before, rotated, without}) == 3


def test_a_user_agent_may_be_any_bytes() -> None:
    assert client_key(NETWORK, "\xff\x00", DAY) == client_key(NETWORK, "\xff\x00", DAY)


def test_outside_a_request_nothing_is_vouched_for() -> None:
    with sent_by(NETWORK, "Firefox", vouched=True):
        assert current() == VOUCHED
    assert current() == Origin(vouched=False, client=None, crawler=False)


def test_a_request_names_its_client_and_whether_it_is_a_crawler() -> None:
    with sent_by(NETWORK, "Firefox", vouched=False):
        person = current()
    with sent_by(NETWORK, "Googlebot/2.1", vouched=False):
        crawler = current()
    assert (person.vouched, person.crawler) == (False, False)
    assert (crawler.vouched, crawler.crawler) == (False, True)
    assert person.client
    assert len(person.client) == 16


def test_a_server_with_a_secret_key_is_no_client_and_no_crawler() -> None:
    with sent_by(NETWORK, "shop-bot/1", vouched=True):
        assert current() == Origin(vouched=True, client=None, crawler=False)
