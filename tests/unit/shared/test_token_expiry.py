"""An access token is valid for its 30 minutes, and not a moment longer."""

import pytest

from shared import tokens
from shared.errors import TokenExpired

ISSUED_AT = 1_800_000_000
LIFETIME_S = 1800


class Clock:
    """Stands for the module ``time`` of shared/tokens.py."""

    now: float = ISSUED_AT

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    from shared.clients import reset

    monkeypatch.setenv("TOKEN_KEYS", "local:" + "k" * 32)
    reset()
    clock = Clock()
    monkeypatch.setattr(tokens, "time", clock)
    return clock


def test_a_token_is_accepted_until_its_last_moment_and_refused_in_the_next(clock: Clock) -> None:
    token = tokens.issue("acct_1", "user")
    for age in (0, LIFETIME_S - 0.001):
        clock.now = ISSUED_AT + age
        assert tokens.verify(token).user_id == "acct_1"
    later = tokens.issue("acct_2", "user")
    for age in (LIFETIME_S, LIFETIME_S + 0.001, LIFETIME_S + 59, LIFETIME_S + 61):
        clock.now = ISSUED_AT + age
        with pytest.raises(TokenExpired):
            tokens.verify(token)
        # the one that was issued later is still valid
        assert tokens.verify(later).user_id == "acct_2"


def test_a_token_carries_its_session_and_one_of_the_previous_release_has_none(clock: Clock) -> None:
    session_id = "0b0f9c1e-5f3a-4a52-8a0f-2f5b9a4f7f0e"
    claims = tokens.verify(tokens.issue("acct_1", "user", epoch=3, session_id=session_id))
    assert (claims.epoch, claims.session_id) == (3, session_id)
    claims = tokens.verify(tokens.issue("acct_1", "user"))
    assert (claims.epoch, claims.session_id) == (0, None)
