"""Sending beside a request: bounded in time and number, and never the request's failure."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from shared.clients import reset
from shared.errors import Unavailable
from shared.gates import MAILING
from shared.mail import Mail, sending

MAIL = Mail("ada@example.com", "A plum", "https://shop.example/?token=plum")


@pytest.fixture(autouse=True)
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MAIL_URL", "console:")
    monkeypatch.setenv("MAIL_FROM", "shop@example.com")
    monkeypatch.setattr(sending, "WAIT_S", 0.2)
    reset()
    yield
    reset()


def took_s(work: Callable[[], Mail | None]) -> float:
    begun = time.monotonic()
    asyncio.run(sending.send_unseen(work))
    return time.monotonic() - begun


def test_an_answer_takes_as_long_with_a_message_as_without_and_with_a_slow_one() -> None:
    release = threading.Event()

    def wait() -> None:
        release.wait(30)

    try:
        for work in (lambda: None, lambda: MAIL, wait):
            assert 0.2 <= took_s(work) < 10
    finally:
        release.set()


def test_what_fails_is_logged_without_address_and_link(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Mail:
        raise ValueError(f"{MAIL.to} {MAIL.text}")

    sending.send(fail)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage(), vars(record)["reason"]) == (
        logging.ERROR,
        "mail not sent",
        "ValueError",
    )
    assert record.exc_info is None


def test_a_request_whose_message_may_be_left_out_goes_on_when_too_many_are_being_sent() -> None:
    release = threading.Event()
    begun: list[str] = []

    def wait() -> None:
        release.wait(10)

    def begin() -> None:
        begun.append("a message beyond the bound")

    try:
        for _ in range(MAILING.most):
            sending._start(wait)
        sending.send(begin)
        with pytest.raises(Unavailable):
            asyncio.run(sending.send_unseen(begin))
        assert begun == []
    finally:
        release.set()
    deadline = time.monotonic() + 60
    while MAILING.admitted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert MAILING.admitted == 0


def test_without_mail_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_URL")
    reset()
    made: list[Mail] = []

    def compose() -> Mail:
        made.append(MAIL)
        return MAIL

    sending.send(compose)
    assert made == []
