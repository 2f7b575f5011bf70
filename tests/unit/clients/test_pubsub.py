"""The breaker of publishing learns from the outcomes of messages, each of them once."""

from concurrent.futures import Future

import pytest
from google.api_core import exceptions

from shared.clients import pubsub
from shared.clients.pubsub import _Breaker
from shared.errors import PubSubUnavailable


class Client:
    """A publisher without a connection, which notes that it was stopped and closed."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.transport = self

    def stop(self) -> None:
        """Note it."""
        self.ended.append("stopped")

    def close(self) -> None:
        """Note it."""
        self.ended.append("closed")


@pytest.fixture
def retired(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Three publishers that were retired and wait for their messages."""
    clients = [Client() for _ in range(3)]
    monkeypatch.setattr(pubsub, "_retired", [*clients])
    return clients


def test_every_retired_publisher_is_closed(retired: list[Client]) -> None:
    pubsub.close()
    assert [client.ended for client in retired] == [["stopped", "closed"]] * 3
    # its timer finds nothing to do
    pubsub._close_retired(retired[0])
    assert retired[0].ended == ["stopped", "closed"]


def sent(breaker: _Breaker) -> "Future[str]":
    future: Future[str] = Future()
    breaker.watch(future)
    return future


def admits(breaker: _Breaker) -> bool:
    try:
        breaker.admit()
    except PubSubUnavailable:
        return False
    return True


@pytest.mark.parametrize(
    ("error", "open_afterwards"),
    [
        (exceptions.ServiceUnavailable("away"), True),
        (exceptions.DeadlineExceeded("late"), True),
        (exceptions.ResourceExhausted("quota"), True),
        (exceptions.RetryError("gave up", None), True),
        (TimeoutError(), True),
        (exceptions.NotFound("topic"), False),
        (exceptions.PermissionDenied("no"), False),
        (exceptions.InvalidArgument("too large"), False),
        (ValueError("no bytes"), False),
    ],
)
def test_only_a_pubsub_that_failed_opens_the_breaker(error: Exception, open_afterwards: bool) -> None:
    breaker = _Breaker()
    sent(breaker).set_exception(error)
    assert admits(breaker) is not open_afterwards


def test_one_message_tries_after_the_pause_and_its_success_closes_the_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = _Breaker()
    sent(breaker).set_exception(TimeoutError())
    with pytest.raises(PubSubUnavailable) as refusal:
        breaker.admit()
    assert not refusal.value.was_sent
    monkeypatch.setattr(pubsub, "BREAKER_S", 0.0)
    assert [admits(breaker) for _ in range(3)] == [True, False, False]
    sent(breaker).set_result("id")
    assert [admits(breaker) for _ in range(3)] == [True, True, True]


def test_a_message_of_before_the_failure_does_not_open_the_breaker_again() -> None:
    breaker = _Breaker()
    first, second, late = sent(breaker), sent(breaker), sent(breaker)
    breaker.give_up(first)
    assert breaker.is_open
    sent(breaker).set_result("over the new connection")
    second.set_exception(TimeoutError())
    breaker.give_up(late)
    assert admits(breaker)
    # a success is a success, whenever its message was sent
    sent(breaker).set_exception(TimeoutError())
    late.set_result("id")
    assert admits(breaker)
