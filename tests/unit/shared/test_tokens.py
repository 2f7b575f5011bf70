"""Access tokens: only unchanged, unexpired tokens signed with a current key are accepted."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from shared import clients
from shared.errors import InvalidToken, MissingSetting, TokenExpired
from shared.settings import read
from shared.tokens import issue, verify

OLD, NEW = "o" * 32, "n" * 32
ACCOUNT = "acct_" + "1" * 32


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(value: str) -> None:
        monkeypatch.setenv("TOKEN_KEYS", value)
        clients.reset()

    use(f"new:{NEW}, old:{OLD}")
    return use


def forged(secret: str = NEW, kid: str | None = "new", algorithm: str = "HS256", **changed: Any) -> str:
    now = int(time.time())
    claims = {"iss": "aisle", "sub": ACCOUNT, "role": "user", "type": "access", "iat": now, "exp": now + 60, "jti": "1"}
    claims |= changed
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, secret, algorithm, headers={} if kid is None else {"kid": kid})


def test_an_issued_token_is_accepted_with_its_claims() -> None:
    claims = verify(issue(ACCOUNT, "support"))
    assert (claims.user_id, claims.role) == (ACCOUNT, "support")
    assert claims.expires_at == pytest.approx(time.time() + 1800, abs=30)


def test_keys_rotate_without_logging_anybody_out(keys: Callable[[str], None]) -> None:
    token = issue(ACCOUNT, "user")
    keys(json.dumps({"newest": "x" * 32, "new": NEW}))
    assert verify(token).user_id == ACCOUNT
    assert jwt.get_unverified_header(issue(ACCOUNT, "user"))["kid"] == "newest"
    keys("newest:" + "x" * 32)
    with pytest.raises(InvalidToken):
        verify(token)


def unsigned() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = jwt.decode(forged(), options={"verify_signature": False})
    return f"{part({'alg': 'none', 'typ': 'JWT', 'kid': 'new'})}.{part(claims)}."


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "not a token",
        unsigned(),
        forged("z" * 32),
        forged(kid=None),
        forged(kid="unknown"),
        forged(OLD, kid="new"),
        forged("n" * 64, algorithm="HS512"),
        forged(iss="else"),
        forged(type="refresh"),
        forged(type=None),
        forged(sub=None),
        forged(exp=None),
        forged(role=None),
        forged(jti=None),
        forged(exp="soon"),
        forged()[:-3] + "AAA",
        "x" * 5000,
        "ü.ö.ä",
    ],
)
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        verify(token)
    assert not isinstance(caught.value, TokenExpired)
    assert "WWW-Authenticate" in caught.value.headers


def test_a_token_is_refused_once_it_has_expired_however_often_it_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    token = issue(ACCOUNT, "user")
    assert verify(token) == verify(token)
    monkeypatch.setattr(time, "time", lambda: 1e11)
    with pytest.raises(TokenExpired):
        verify(token)
    monkeypatch.undo()


@pytest.mark.parametrize("value", ["k", "k:", ":" + "x" * 32, "k:short", "{}", "{", '{"k": 1}', '{"k": "short"}'])
def test_invalid_keys_are_refused_and_not_shown(value: str) -> None:
    with pytest.raises(MissingSetting, match="The environment variable TOKEN_KEYS is not valid") as caught:
        read({"TOKEN_KEYS": value})
    assert "short" not in str(caught.value)


def test_without_keys_nothing_is_signed_or_accepted(keys: Callable[[str], None]) -> None:
    token = issue(ACCOUNT, "user")
    keys("")
    with pytest.raises(InvalidToken):
        verify(token)
    with pytest.raises(MissingSetting, match="TOKEN_KEYS"):
        issue(ACCOUNT, "user")
