"""Routes for guests, registration, login, refresh, logout and passwords. Most answer with ``TokenPair``."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.accounts.merging import guest_merge
from functions.accounts.schemas import (
    AccessToken,
    AccountRegistration,
    LoginRequest,
    LoginTokens,
    PasswordChange,
    RefreshRequest,
    TokenPair,
    UserTokenRequest,
)
from shared import account_mails, passwords, tokens
from shared.auth import Action, authorise, bearer, credential_of
from shared.clients.postgres import Connection, transaction
from shared.domain.identity import new_account_id, new_guest_id
from shared.errors import EmailTaken, LoginFailed, UsernameTaken
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import AccountHolder, SecretKeyHolder
from shared.mail import sending
from shared.settings import settings
from shared.storage.answers import invalidation
from shared.storage.operations import audit
from shared.storage.people import accounts, login_failures, merging, refresh_tokens
from shared.storage.people.accounts import User
from shared.storage.people.merging import Merge
from shared.storage.people.refresh_tokens import Session

router = APIRouter(prefix="/auth", tags=["sessions"])
NO_STORE: Final = {"Cache-Control": "no-store"}
WRONG_CREDENTIALS: Final = "Email or password is wrong."


def _token_pair(session: Session) -> TokenPair:
    access_token = tokens.issue(session.user_id, session.role, epoch=session.epoch, session_id=session.session_id)
    return TokenPair(
        access_token=access_token,
        refresh_token=session.refresh_token,
        expires_in=settings().access_token_s,
        user_id=session.user_id,
    )


def token_response(session: Session, status: int = 200) -> Response:
    """Return the response with a new access token and the refresh token of a session."""
    return Response(_token_pair(session).model_dump_json(), status, NO_STORE, "application/json")


def login_response(session: Session, merge: Merge | None, status: int = 200) -> Response:
    """Return the response with the tokens of a login and the result of its merge, None without a guest."""
    pair = LoginTokens(
        **_token_pair(session).model_dump(),
        merge=None if merge is None else guest_merge(merge),
    )
    return Response(pair.model_dump_json(), status, NO_STORE, "application/json")


def client_address(request: Request) -> str:
    """Return the client's address, as the edge determined it."""
    address: str = request.scope.get("aisle.client", "")
    return address


def verified_account(email: str, password: str, request: Request) -> User:
    """Return the account with this email and password.

    Raises LoginFailed after the same work whether the account exists or not, and LockedOut after too many attempts.
    """
    login_failures.begin_attempt(email, client_address(request))
    user = accounts.find_by_email(email)
    if not passwords.verify(user.password_hash if user else None, password) or user is None:
        login_failures.record_failure(client_address(request))
        # written for an unknown email too, so that both cases take equally long
        with transaction() as connection:
            subject = f"user:{user.user_id}" if user else "unknown"
            audit.record(connection, audit.ANONYMOUS, "login.failure", subject)
        raise LoginFailed(WRONG_CREDENTIALS)
    login_failures.record_success(email, client_address(request))
    return user


def lock_verified(connection: Connection, verified: User, password: str, guest_user_id: str | None = None) -> User:
    """Lock an account, and a guest to be merged into it, and return it. Raises LoginFailed if its password changed.

    The password was verified before the lock, since hashing takes long; only a hash that was replaced meanwhile is
    verified again.
    """
    user = accounts.lock(connection, verified.user_id, guest_user_id)
    if user is None or (
        user.password_hash != verified.password_hash and not passwords.verify(user.password_hash, password)
    ):
        raise LoginFailed(WRONG_CREDENTIALS)
    return user


def guest_to_merge(request: Request, guest_user_id: str | None) -> str | None:
    """Return the guest whose data a login takes along, proven by the guest's access token or a secret API key.

    Without ``guest_user_id`` no credential is read, so that an expired one hinders no login. Raises Unauthorized,
    Forbidden, InvalidToken and TokenExpired.
    """
    if guest_user_id is None:
        return None
    token = bearer(request.headers.get("authorization"))
    credential = credential_of(token, request.scope.get("aisle.key"), may_block=True)
    return authorise(guest_user_id, credential, Action.MERGE)


def merge_guest(connection: Connection, guest_user_id: str | None, user: User) -> Merge | None:
    """Merge a guest into an account, if one is named."""
    return None if guest_user_id is None else merging.merge(connection, guest_user_id, user.id, user.user_id)


def forget_merged(merge: Merge | None, *user_ids: str | None) -> None:
    """Drop the stored answers of users whose data a merge moved, after its commit."""
    if merge is not None and merge.merged:
        invalidation.forget_users(list(filter(None, user_ids)))


@router.post("/guest", status_code=201, response_model=TokenPair)
def create_guest() -> Response:
    """Create a guest: an id that cannot be guessed, and its tokens."""
    user_id = new_guest_id()
    with transaction() as connection:
        session = refresh_tokens.begin(connection, accounts.add_guest(connection, user_id))
    return token_response(session, 201)


@router.post("/register", status_code=201, response_model=LoginTokens, responses=OWNED | problem_responses(409))
def register_account(request: Request, body: AccountRegistration) -> Response:
    """Register an account and log in.

    With `guest_user_id` the guest's data becomes the account's; send the guest's access token or a secret API key. 409
    if the email or the username is taken; a taken email counts as a failed login. A link that verifies the email is
    mailed to that address.
    """
    password = passwords.check(body.password, body.email, body.username)
    guest_user_id = guest_to_merge(request, body.guest_user_id)
    login_failures.begin_attempt(body.email, client_address(request))
    password_hash = passwords.hash_password(password)
    try:
        with transaction() as connection:
            user = accounts.add(
                connection, new_account_id(), username=body.username, email=body.email, password_hash=password_hash
            )
            merge = merge_guest(connection, guest_user_id, user)
            session = refresh_tokens.begin(connection, user.id)
    except EmailTaken:
        login_failures.record_failure(client_address(request))
        raise
    except UsernameTaken:
        # reveals nothing about the email, so it is no attempt on it
        login_failures.take_back(body.email, client_address(request))
        raise
    login_failures.record_success(body.email, client_address(request))
    forget_merged(merge, guest_user_id, user.user_id)
    client = client_address(request)
    sending.send(lambda: account_mails.verification(user.user_id, client))
    return login_response(session, merge, 201)


@router.post("/login", response_model=LoginTokens, responses=OWNED)
def log_in(request: Request, body: LoginRequest) -> Response:
    """Log in to an account. The guest of `guest_user_id` is merged into it; `merge` names what stays with the guest.

    A guest belongs to the first account that names them. A merge needs the guest's access token
    (`Authorization: Bearer`) or a secret API key.
    """
    guest_user_id = guest_to_merge(request, body.guest_user_id)
    verified = verified_account(body.email, body.password, request)
    with transaction() as connection:
        user = lock_verified(connection, verified, body.password, guest_user_id)
        merge = merge_guest(connection, guest_user_id, user)
        session = refresh_tokens.begin(connection, user.id)
        audit.record(connection, user.user_id, "login", f"user:{user.user_id}")
    if user.password_hash is not None and passwords.is_outdated(user.password_hash):
        accounts.rehash(user, passwords.hash_password(body.password))
    forget_merged(merge, guest_user_id, user.user_id)
    return login_response(session, merge)


@router.post("/refresh", response_model=TokenPair, responses=problem_responses(401))
def refresh_session(body: RefreshRequest) -> Response:
    """Exchange a refresh token for new tokens.

    Within 10 seconds, the same token is exchanged for the same new refresh token, in case the client lost the answer.
    If it is used later, or after the new one was used, every token of its login is revoked. A login ends after 30 days
    at most.
    """
    return token_response(refresh_tokens.rotate(body.refresh_token))


@router.post("/logout", status_code=204)
def log_out(body: RefreshRequest) -> Response:
    """Log out: revoke the login's refresh tokens.

    Its access tokens are refused at once under `/users/me`, `/auth/password` and `/admin`, elsewhere when they expire.
    """
    refresh_tokens.revoke(body.refresh_token)
    return Response(status_code=204)


@router.post("/password", response_model=TokenPair, responses=OWNED)
def change_password(request: Request, user_id: AccountHolder, body: PasswordChange) -> Response:
    """Change the password. Every other login ends; this one gets new tokens."""
    user = accounts.get_holder(user_id)
    password = passwords.check(body.new_password, user.email or "", user.username or "")
    verified = verified_account(user.email or "", body.current_password, request)
    password_hash = passwords.hash_password(password)
    with transaction() as connection:
        user = lock_verified(connection, verified, body.current_password)
        accounts.set_password(connection, user, password_hash)
        refresh_tokens.revoke_all(connection, user.id)
        audit.record(connection, user.user_id, "password.change", f"user:{user.user_id}")
        session = refresh_tokens.begin(connection, user.id)
    return token_response(session)


@router.post("/user-token", response_model=AccessToken, responses=OWNED)
def create_user_token(_key: SecretKeyHolder, body: UserTokenRequest) -> Response:
    """Create an access token for one of the shop's own users, whom the shop has logged in itself.

    The shop's server requests the token with its secret API key and passes it to the browser, which then needs no
    proxy.
    """
    token = AccessToken(
        access_token=tokens.issue(body.user_id, "guest"), expires_in=settings().access_token_s, user_id=body.user_id
    )
    return Response(token.model_dump_json(), 200, NO_STORE, "application/json")
