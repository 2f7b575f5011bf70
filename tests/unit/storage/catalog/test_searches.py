"""Closing while searches are written in the background."""

import threading
from collections.abc import Sequence

import pytest

from shared import clients
from shared.storage.catalog import searches


def test_clients_are_closed_only_after_searches_that_are_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answered, order = threading.Event(), threading.Event(), list[str]()

    def record(_searches: Sequence[object]) -> None:
        begun.set()
        assert answered.wait(10)
        order.append("written")

    def close_client() -> None:
        order.append("client closed")

    monkeypatch.setattr(searches, "record", record)
    monkeypatch.setattr(searches, "CLOSING_S", 10)
    # the client is registered first, since what uses it imports it
    monkeypatch.setattr(clients, "_registered", [close_client, searches.close])
    writing = threading.Thread(target=searches.flush)
    closing = threading.Thread(target=clients.reset)
    writing.start()
    assert begun.wait(10)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    answered.set()
    closing.join(10)
    writing.join(10)
    assert order == ["written", "client closed"]


def test_closing_gives_up_on_searches_that_are_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "CLOSING_S", 0.05)
    before = searches._collected
    with before.is_flushing:
        searches.close()
    assert searches._collected is not before
