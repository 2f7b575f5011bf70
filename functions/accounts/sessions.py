"""Becoming somebody: guests, registration, login, refresh, logout, passwords. Every answer is the same ``Tokens``."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.accounts.schemas import ChangePassword, Login, Refresh, Register, Tokens
from shared import passwords, tokens
from shared.auth import Account
from shared.clients.postgres import transaction
from shared.domain.identity import new_account_id, new_guest_id
from shared.errors import EmailTaken, LoginFailed, UsernameTaken
from shared.http.api import OWNED, problem_responses
from shared.settings import settings
from shared.storage.answers import invalidation
from shared.storage.people import accounts, login_failures, merging, refresh_tokens
from shared.storage.people.accounts import User

router = APIRouter(prefix="/auth", tags=["auth"])
NOBODY_KEEPS: Final = {"Cache-Control": "no-store"}
WRONG: Final = "Email or password is wrong."


def answer(user_id: str, role: str, refresh_token: str, status: int = 200) -> Response:
    """Return the tokens of a user."""
    made = Tokens(
        access_token=tokens.issue(user_id, role),
        refresh_token=refresh_token,
        expires_in=settings().access_token_s,
        user_id=user_id,
    )
    return Response(made.model_dump_json(), status, NOBODY_KEEPS, "application/json")


def address(request: Request) -> str:
    """Return the client's address, as rate limits see it."""
    found: str = request.scope.get("aisle.client", "")
    return found


def checked(email: str, password: str, request: Request) -> User:
    """Return the account whose password this is. Raises LoginFailed, after the same work whether there is one or not;
    LockedOut after too many attempts."""
    login_failures.begin_attempt(email, address(request))
    user = accounts.find_by_email(email)
    if not passwords.verify(user.password_hash if user else None, password) or user is None:
        login_failures.record_failure(address(request))
        raise LoginFailed(WRONG)
    login_failures.record_success(email)
    return user


def merged(connection: Any, guest_user_id: str | None, user: User) -> list[str]:
    """Make a guest part of an account; returns whose cached answers are now others."""
    if guest_user_id is None or not merging.merge(connection, guest_user_id, user.id, user.user_id):
        return []
    return [guest_user_id, user.user_id]


@router.post("/guest", status_code=201, response_model=Tokens)
def guest() -> Response:
    """Make a guest: an id that nobody can guess, and tokens for it."""
    user_id = new_guest_id()
    with transaction() as connection:
        refresh_token = refresh_tokens.issue(connection, accounts.add_guest(connection, user_id))
    return answer(user_id, "guest", refresh_token, 201)


@router.post("/register", status_code=201, response_model=Tokens, responses=problem_responses(409))
def register(request: Request, body: Register) -> Response:
    """Make an account and log in. 409 where email or username is taken; it then counts as a failed attempt."""
    password = passwords.check(body.password, body.email, body.username)
    login_failures.begin_attempt(body.email, address(request))
    password_hash = passwords.hash_password(password)
    try:
        with transaction() as connection:
            user = accounts.add(
                connection, new_account_id(), username=body.username, email=body.email, password_hash=password_hash
            )
            changed = merged(connection, body.guest_user_id, user)
            refresh_token = refresh_tokens.issue(connection, user.id)
    except EmailTaken:
        login_failures.record_failure(address(request))
        raise
    except UsernameTaken:
        # says nothing of the email
        login_failures.record_success(body.email)
        raise
    login_failures.record_success(body.email)
    invalidation.forget_users(changed)
    return answer(user.user_id, user.role, refresh_token, 201)


@router.post("/login", response_model=Tokens, responses=problem_responses(401))
def login(request: Request, body: Login) -> Response:
    """Log in. A guest that is named becomes part of the account, once."""
    user = checked(body.email, body.password, request)
    with transaction() as connection:
        changed = merged(connection, body.guest_user_id, user)
        refresh_token = refresh_tokens.issue(connection, user.id)
    if user.password_hash is not None and passwords.is_outdated(user.password_hash):
        accounts.rehash(user, passwords.hash_password(body.password))
    invalidation.forget_users(changed)
    return answer(user.user_id, user.role, refresh_token)


@router.post("/refresh", response_model=Tokens, responses=problem_responses(401))
def refresh(body: Refresh) -> Response:
    """Get new tokens for a refresh token, which is used up by it. Used again, it ends all that followed from it."""
    following, user_id, role = refresh_tokens.rotate(body.refresh_token)
    return answer(user_id, role, following)


@router.post("/logout", status_code=204)
def logout(body: Refresh) -> Response:
    """End a login: its refresh tokens are no longer taken. Access tokens last until they expire."""
    refresh_tokens.revoke(body.refresh_token)
    return Response(status_code=204)


@router.post("/password", response_model=Tokens, responses=OWNED)
def change_password(request: Request, claims: Account, body: ChangePassword) -> Response:
    """Change the password: every other login ends, this one gets new tokens."""
    user = accounts.get_holder(claims.user_id)
    password = passwords.check(body.new_password, user.email or "", user.username or "")
    checked(user.email or "", body.current_password, request)
    password_hash = passwords.hash_password(password)
    with transaction() as connection:
        accounts.set_password(connection, user, password_hash)
        refresh_tokens.revoke_all(connection, user.id)
        refresh_token = refresh_tokens.issue(connection, user.id)
    return answer(user.user_id, user.acting_role, refresh_token)
