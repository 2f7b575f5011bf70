"""The rules of every payment provider, tested on the fake: charge a reference once, and never after its release."""

from decimal import Decimal

import pytest

from shared.errors import PaymentDeclined, PaymentUnavailable
from shared.payments import fake
from shared.payments.fake import Fake, Ledger

TEN = Decimal(10)


@pytest.fixture(autouse=True)
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The provider's records, empty for each test."""
    empty = Ledger()
    monkeypatch.setattr(fake, "ledger", empty)
    return empty


def test_a_reference_is_charged_once(ledger: Ledger) -> None:
    for _ in range(2):
        Fake("fake").charge("a", TEN, None, 0.01)
    assert ledger.charged == {"a": TEN}


def test_a_released_reference_is_never_charged(ledger: Ledger) -> None:
    provider = Fake("fake")
    provider.release("never charged", 0.01)
    provider.charge("charged", TEN, None, 0.01)
    for _ in range(2):
        provider.release("charged", 0.01)
    for reference in ("never charged", "charged"):
        with pytest.raises(PaymentDeclined):
            provider.charge(reference, TEN, None, 0.01)
    assert set(ledger.charged.values()) == {0}


@pytest.mark.parametrize(("behaviour", "token"), [("fake-declines", None), ("fake", "decline")])
def test_a_declined_charge_charges_nothing(ledger: Ledger, behaviour: str, token: str | None) -> None:
    with pytest.raises(PaymentDeclined):
        Fake(behaviour).charge("a", TEN, token, 0.01)
    assert not ledger.charged


@pytest.mark.parametrize(("behaviour", "token"), [("fake-times-out", None), ("fake", "time-out")])
def test_a_time_out_has_charged_and_has_a_retry_after(ledger: Ledger, behaviour: str, token: str | None) -> None:
    with pytest.raises(PaymentUnavailable) as raised:
        Fake(behaviour).charge("a", TEN, token, 0.01)
    assert raised.value.headers["Retry-After"]
    assert ledger.charged == {"a": TEN}


def test_the_oldest_references_are_forgotten(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "REMEMBERED", 3)
    for number in range(5):
        Fake("fake").charge(str(number), TEN, None, 0.01)
    assert list(ledger.charged) == ["2", "3", "4"]
