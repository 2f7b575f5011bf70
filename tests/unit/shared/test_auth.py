"""Permissions: the complete table of ``authorise``, and the claims of tokens."""

import re
import time
from pathlib import Path

import pytest

from shared import clients
from shared.auth import (
    NO_CREDENTIAL,
    Action,
    AdminToken,
    Credential,
    UserToken,
    authorise,
    bearer,
    credential_of,
    own,
    staff_credential_of,
)
from shared.domain.identity import IdKind, kind_of
from shared.errors import AppError, Forbidden, InvalidToken, TokenExpired, Unauthorized
from shared.tokens import Claims, issue

ACCOUNT, OTHER_ACCOUNT = "acct_" + "1" * 32, "acct_" + "2" * 32
GUEST, OTHER_GUEST = "guest_" + "1" * 32, "guest_" + "2" * 32
SHOPS_OWN = "17850"
ADMIN_TOKEN = "a-token-for-machines"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_KEYS", "new:" + "n" * 32)
    monkeypatch.setenv("ADMIN_TOKEN", ADMIN_TOKEN)
    clients.reset()


def token_of(user_id: str, role: str = "user") -> UserToken:
    return UserToken(Claims(user_id, role, time.time() + 60))


BY_ID = (Action.WRITE_EVENTS, Action.ACCESS_OWN_DATA)
BY_TOKEN = (Action.MERGE, Action.USE_PROFILE, Action.ERASE_OR_EXPORT, Action.CHANGE_LOGIN)


def test_the_table_names_every_action() -> None:
    assert {*BY_ID, *BY_TOKEN} == set(Action)


@pytest.mark.parametrize("action", Action)
def test_an_accounts_token_opens_only_the_accounts_own_data(action: Action) -> None:
    assert authorise(None, token_of(ACCOUNT), action) == ACCOUNT
    assert authorise(ACCOUNT, token_of(ACCOUNT), action) == ACCOUNT
    for foreign_id in (OTHER_ACCOUNT, GUEST, SHOPS_OWN):
        with pytest.raises(Forbidden):
            authorise(foreign_id, token_of(ACCOUNT), action)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("credential", [NO_CREDENTIAL, AdminToken()])
def test_an_account_s_id_without_its_token_opens_nothing(action: Action, credential: Credential) -> None:
    with pytest.raises(Unauthorized) as refusal:
        authorise(ACCOUNT, credential, action)
    assert refusal.value.status == 401
    assert "WWW-Authenticate" in refusal.value.headers


@pytest.mark.parametrize("user_id", [GUEST, SHOPS_OWN])
@pytest.mark.parametrize("credential", [NO_CREDENTIAL, AdminToken()])
def test_any_other_id_suffices_by_itself_but_not_for_what_needs_a_token(user_id: str, credential: Credential) -> None:
    for action in BY_ID:
        assert authorise(user_id, credential, action) == user_id
    for action in BY_TOKEN:
        with pytest.raises(Unauthorized):
            authorise(user_id, credential, action)


def test_a_guest_s_token_opens_all_but_the_login_that_a_guest_has_not() -> None:
    for action in Action:
        if action is Action.CHANGE_LOGIN:
            with pytest.raises(Forbidden, match="/auth/register"):
                authorise(None, token_of(GUEST, "guest"), action)
        else:
            assert authorise(None, token_of(GUEST, "guest"), action) == GUEST
        with pytest.raises(Forbidden):
            authorise(OTHER_GUEST, token_of(GUEST, "guest"), action)


@pytest.mark.parametrize("action", Action)
def test_a_request_without_a_user_is_refused(action: Action) -> None:
    with pytest.raises(Unauthorized):
        authorise(None, NO_CREDENTIAL, action)


def test_the_admin_token_is_no_user_s_token() -> None:
    with pytest.raises(InvalidToken):
        authorise(None, AdminToken(), Action.USE_PROFILE)
    with pytest.raises(Unauthorized):
        authorise(None, AdminToken(), Action.ACCESS_OWN_DATA)


def test_staff_may_do_what_their_role_permits() -> None:
    assert authorise(None, token_of(ACCOUNT, "admin"), "rules:write") == ACCOUNT
    assert authorise(None, token_of(ACCOUNT, "support"), "dashboard:read") == ACCOUNT
    assert authorise(None, AdminToken(), "jobs:run") == "admin-token"
    with pytest.raises(Forbidden):
        authorise(None, token_of(ACCOUNT, "support"), "rules:write")
    with pytest.raises(Forbidden):
        authorise(None, token_of(ACCOUNT, "user"), "dashboard:read")
    with pytest.raises(Forbidden):
        authorise(None, token_of(ACCOUNT, "owner"), "dashboard:read")
    with pytest.raises(Forbidden, match="for scripts"):
        authorise(None, AdminToken(), "users:write")
    with pytest.raises(Unauthorized) as refusal:
        authorise(None, NO_CREDENTIAL, "rules:write")
    assert refusal.value.status == 401


def test_a_token_is_a_user_s_or_the_admin_token_or_refused() -> None:
    assert credential_of(None) is NO_CREDENTIAL
    assert credential_of(ADMIN_TOKEN) == AdminToken()
    credential = credential_of(issue(ACCOUNT, "support"))
    assert isinstance(credential, UserToken)
    assert (credential.claims.user_id, credential.claims.role) == (ACCOUNT, "support")
    with pytest.raises(InvalidToken):
        credential_of("wrong")


def refusal_of_staff(token: str) -> type[AppError]:
    with pytest.raises(AppError) as refusal:
        staff_credential_of(token)
    return type(refusal.value)


def test_a_staff_route_distinguishes_a_bad_access_token_from_a_wrong_admin_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert staff_credential_of(None) is NO_CREDENTIAL
    assert staff_credential_of(ADMIN_TOKEN) == AdminToken()
    assert isinstance(staff_credential_of(issue(ACCOUNT, "admin")), UserToken)
    assert refusal_of_staff("a.b.c") is InvalidToken
    assert refusal_of_staff("wrong") is Forbidden
    late = issue(ACCOUNT, "admin")
    monkeypatch.setattr(time, "time", lambda: 1e11)
    assert refusal_of_staff(late) is TokenExpired
    monkeypatch.undo()
    monkeypatch.delenv("ADMIN_TOKEN", raising=False)
    clients.reset()
    assert refusal_of_staff(ADMIN_TOKEN) is Forbidden


def test_the_hot_path_asks_the_same_question() -> None:
    token = issue(ACCOUNT, "user")
    assert own(SHOPS_OWN, None) == own(SHOPS_OWN, ADMIN_TOKEN) == SHOPS_OWN
    assert own(None, token) == own(ACCOUNT, token) == ACCOUNT
    for user_id in (ACCOUNT, None):
        with pytest.raises(Unauthorized):
            own(user_id, ADMIN_TOKEN)


def test_the_kind_of_an_id_is_its_prefix() -> None:
    assert [kind_of(user_id) for user_id in (ACCOUNT, GUEST, SHOPS_OWN)] == [
        IdKind.ACCOUNT,
        IdKind.GUEST,
        IdKind.OTHER,
    ]


def test_no_function_decides_by_itself_whose_something_is() -> None:
    functions = Path(__file__).parents[3] / "functions"
    decides = re.compile(r"tokens\.verify|import verify|Claims|ACCOUNT_PREFIX|GUEST_PREFIX|startswith\(.acct_")
    files = sorted(functions.rglob("*.py"))
    assert len(files) > 30
    assert [str(file) for file in files if decides.search(file.read_text())] == []


def test_only_a_bearer_token_is_a_token() -> None:
    assert bearer("Bearer abc") == bearer("bearer  abc ") == "abc"
    assert [bearer(header) for header in (None, "", "Bearer", "Bearer ", "Basic abc")] == [None] * 5
