"""The kind of a user id says what protects it, so only an id that cannot be guessed is a guest's."""

import pytest

from shared.domain.identity import IdKind, kind_of, new_account_id, new_guest_id

DIGITS = "00c0ffee" * 4


def test_the_ids_that_are_issued_here_have_their_kinds() -> None:
    assert kind_of(new_guest_id()) is IdKind.GUEST
    assert kind_of(new_account_id()) is IdKind.ACCOUNT


@pytest.mark.parametrize(
    "user_id",
    [
        "guest_",
        "guest_42",
        f"guest_{DIGITS[:-1]}",
        f"guest_{DIGITS}0",
        f"guest_{DIGITS.upper()}",
        f"guest_{DIGITS}\n",
        f" guest_{DIGITS}",
        f"Guest_{DIGITS}",
        "guest_" + "１" * 32,
        f"guеst_{DIGITS}",
        f"guest-{DIGITS}",
    ],
)
def test_an_id_that_only_looks_like_a_guest_s_is_the_shop_s_own(user_id: str) -> None:
    assert kind_of(user_id) is IdKind.OTHER


@pytest.mark.parametrize("user_id", ["acct_", "acct_1", f"acct_{DIGITS}"])
def test_whatever_begins_like_an_account_s_needs_an_account_s_credential(user_id: str) -> None:
    assert kind_of(user_id) is IdKind.ACCOUNT
