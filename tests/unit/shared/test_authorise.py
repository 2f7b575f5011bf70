"""The table of ``authorise``: action × kind of id × credential × TRUST_SHOP_IDS, each cell by its right answer."""

import json
import re
import time
from itertools import product

import pytest

from shared import clients
from shared.api_keys import ApiKey
from shared.auth import NO_CREDENTIAL, Action, AdminToken, Credential, UserToken, authorise, credential_of, own
from shared.errors import AppError, Forbidden, MissingSetting, Unauthorized
from shared.settings import read
from shared.tokens import Claims, issue

IDS = {"account": "acct_" + "1" * 32, "guest": "guest_" + "1" * 32, "shop": "17850"}
STRANGER = "guest_" + "9" * 32
CREDENTIALS = ("none", "its token", "a stranger's token", "publishable key", "secret key", "admin token")
SECRET, PUBLISHABLE = ApiKey("0" * 12, "secret"), ApiKey("1" * 12, "publishable")
# without these a cell is refused
BY_TOKEN_AND_SECRET_KEY = {"its token", "secret key"}
BY_ID = {"none", "its token", "publishable key", "secret key", "admin token"}


def credential(name: str, user_id: str) -> Credential:
    tokens = {"its token": user_id, "a stranger's token": STRANGER}
    if name in tokens:
        return UserToken(Claims(tokens[name], "guest", time.time() + 60))
    others: dict[str, Credential] = {
        "none": NO_CREDENTIAL,
        "publishable key": PUBLISHABLE,
        "secret key": SECRET,
        "admin token": AdminToken(),
    }
    return others[name]


def permitted(action: Action, kind: str, *, trusted: bool) -> set[str]:
    """The credentials that suffice, as docs/architecture.md has them."""
    if action is Action.CHANGE_LOGIN:
        return {"its token"} if kind == "account" else set()
    if action is Action.WRITE_EVENTS and kind != "account":
        return BY_ID
    if action is Action.ACCESS_OWN_DATA and (kind == "guest" or (kind == "shop" and trusted)):
        return BY_ID
    return BY_TOKEN_AND_SECRET_KEY


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(("action", "kind", "name"), list(product(Action, IDS, CREDENTIALS)))
def test_each_cell(action: Action, kind: str, name: str, trusted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUST_SHOP_IDS", str(trusted))
    clients.reset()
    user_id = IDS[kind]
    if name in permitted(action, kind, trusted=trusted):
        assert authorise(user_id, credential(name, user_id), action) == user_id
        return
    with pytest.raises((Unauthorized, Forbidden)) as refusal:
        authorise(user_id, credential(name, user_id), action)
    is_forbidden = name == "a stranger's token" or (action is Action.CHANGE_LOGIN and name == "its token")
    assert refusal.value.status == (403 if is_forbidden else 401)


@pytest.mark.parametrize(
    ("environment", "setting", "expected"),
    [
        ("local", None, True),
        ("dev", None, False),
        ("prod", None, False),
        ("local", "false", False),
        ("prod", "true", True),
    ],
)
def test_shop_ids_are_trusted_locally_only_unless_set(
    environment: str, setting: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    monkeypatch.setenv("TRUST_SHOP_IDS", setting or "")
    clients.reset()
    if expected:
        assert own("17850", None) == "17850"
    else:
        with pytest.raises(Unauthorized, match="user-token"):
            own("17850", None)
    # a bystander: a guest's id suffices everywhere
    assert own(IDS["guest"], None) == IDS["guest"]


def test_no_key_administers() -> None:
    for key in (SECRET, PUBLISHABLE):
        with pytest.raises(Unauthorized):
            authorise(None, key, "dashboard:read")


def test_a_secret_key_must_name_the_user() -> None:
    for action in Action:
        with pytest.raises(Unauthorized):
            authorise(None, SECRET, action)


def test_a_token_decides_before_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_KEYS", "k:" + "t" * 32)
    clients.reset()
    token = issue(STRANGER, "guest")
    assert own(None, token, SECRET) == STRANGER
    with pytest.raises(Forbidden):
        own(IDS["account"], token, SECRET)
    assert credential_of(None, SECRET) is SECRET
    with pytest.raises(AppError):
        credential_of("nonsense", SECRET)


def issuers(**more: object) -> str:
    issuer = {"issuer": "https://a.example", "audience": "shop", "jwks_url": "https://a.example/jwks.json"}
    return json.dumps([issuer | more])


@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        "{}",
        '[{"issuer": "https://a.example"}]',
        issuers(jwks_url="http://a.example/jwks.json"),
        issuers(jwks_url="file:///etc/passwd"),
        issuers(issuer="aisle"),
        issuers(audience=[]),
        issuers(secret="x"),
        json.dumps(json.loads(issuers()) * 2),
    ],
)
def test_issuers_that_are_no_use_are_refused_by_name(value: str) -> None:
    with pytest.raises(MissingSetting, match="IDENTITY_ISSUERS"):
        read({"ENVIRONMENT": "prod", "IDENTITY_ISSUERS": value})


def test_an_issuer_has_one_audience_or_several() -> None:
    assert read({"IDENTITY_ISSUERS": issuers()}).identity_issuers[0].audience == ("shop",)
    assert read({"IDENTITY_ISSUERS": issuers(audience=["a", "b"])}).identity_issuers[0].audience == ("a", "b")


@pytest.mark.parametrize(
    ("action", "remedy"),
    [
        # the shop's key cannot change a person's login
        (Action.CHANGE_LOGIN, r"^Send an access token: Authorization: Bearer <token>\.$"),
        (Action.MERGE, r"guest's access token .* or a secret API key"),
        (Action.USE_PROFILE, r"^Send the user's access token .* or user_id with a secret API key"),
        (Action.ERASE_OR_EXPORT, r"^Send the user's access token .* or user_id with a secret API key"),
        (Action.ACCESS_OWN_DATA, r"^Name the user: send the parameter user_id, or an access token"),
    ],
)
def test_a_refusal_names_what_to_send(action: Action, remedy: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        authorise(None, NO_CREDENTIAL, action)
    assert re.search(remedy, refusal.value.detail)
