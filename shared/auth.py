"""Who may do what: ``authorise`` decides everywhere; the dependencies below read the credential and call it.

* ``Shopper``        the user whose data a route reads or changes: the token's, else the parameter ``user_id``; required
* ``NamedShopper``   the same, but a request without ``user_id`` and token is invalid (422), not unauthorised
* ``MaybeShopper``   the same, but None if there is no user, for routes that also answer without one
* ``TokenHolder``    the user of an access token, a guest's or an account's
* ``DataOwner``      the same, to erase that user or to export everything held on them
* ``SecretKeyHolder``  the shop's own server, by its secret API key; the value is the key's id
* ``ReporterCredential``  the credential of a request that reports events; guest ids and the shop's own ids need none
* ``KeyedCredential``  the same, for routes that also require an API key
* ``AccountHolder``  the user of a registered account's access token
* ``requires("rules:write")``  a member of staff, or the holder of ADMIN_TOKEN; the value is the audit log's actor

The last four look up the token's session and refuse it as soon as the session ends; elsewhere an access token is valid
until it expires.

A request may carry an access token (``Authorization: Bearer``), an API key (``X-API-Key``) or both; a token takes
precedence over a key, because it identifies the caller more precisely. Query models that reject unknown parameters must
declare ``user_id`` themselves: see ``UserQuery`` in ``shared/http/parameters.py``.
"""

import hmac
from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from shared import identity_tokens
from shared.accepted_credentials import ADMIN, KEY, NOTHING, TOKEN, accepts
from shared.api_keys import KEY_CHALLENGE, ApiKey
from shared.domain.events import UserId
from shared.domain.identity import IdKind, Permission, allowed, kind_of
from shared.errors import Forbidden, InvalidRequest, InvalidToken, Unauthorized
from shared.settings import settings
from shared.tokens import CHALLENGE as INVALID_TOKEN_CHALLENGE
from shared.tokens import Claims, verify

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aisle"'}
ADMIN_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aisle admin"'}
# The actor name of ADMIN_TOKEN in the audit log.
MACHINE_ACTOR: Final = "admin-token"


class Action(Enum):
    """An action on a user's data. Actions on the shop are ``Permission``s."""

    WRITE_EVENTS = auto()
    """Report what the user did."""
    ACCESS_OWN_DATA = auto()
    """Read or change recommendations, viewed products, cart, orders, wishlist."""
    MERGE = auto()
    """Make the guest's data an account's."""
    USE_PROFILE = auto()
    """Read or change profile, location, preferences, search history."""
    ERASE_OR_EXPORT = auto()
    """Erase the user, or export everything held on them."""
    CHANGE_LOGIN = auto()
    """Change what an account logs in with: username, email, password."""


@dataclass(frozen=True, slots=True)
class NoCredential:
    """The request has no token."""


@dataclass(frozen=True, slots=True)
class UserToken:
    """A valid access token of a guest, an account or a member of staff."""

    claims: Claims


@dataclass(frozen=True, slots=True)
class AdminToken:
    """The setting ADMIN_TOKEN, which operates the shop and is not a user."""


Credential = NoCredential | UserToken | AdminToken | ApiKey
NO_CREDENTIAL: Final = NoCredential()
_ADMIN_TOKEN: Final = AdminToken()
# Actions for which knowing an id is never sufficient.
_NEEDS_CREDENTIAL: Final = frozenset({Action.MERGE, Action.USE_PROFILE, Action.ERASE_OR_EXPORT, Action.CHANGE_LOGIN})


def authorise(user_id: str | None, credential: Credential, action: Action | Permission) -> str:
    """Return the user whose data the action concerns, or, for a permission, the actor's name for the audit log.

    ``user_id`` is the id named in the request; None if there is none, and for a permission. Without it, the user is the
    token's. Raises Unauthorized if a credential is needed, InvalidToken if the given one is not a user's, and Forbidden
    if it is another user's or is not sufficient. Does no I/O.

    ================= ========================= ============================ =============================
    action            ``acct_…``                ``guest_…``                  any other id (the shop's own)
    ================= ========================= ============================ =============================
    WRITE_EVENTS      its token, a secret key   anybody                      anybody
    ACCESS_OWN_DATA   its token, a secret key   its token, a secret key, the its token, a secret key, or
                                                id itself                    TRUST_SHOP_IDS
    MERGE             its token, a secret key   its token, a secret key      its token, a secret key
    USE_PROFILE       its token, a secret key   its token, a secret key      its token, a secret key
    ERASE_OR_EXPORT   its token, a secret key   its token, a secret key      its token, a secret key
    CHANGE_LOGIN      its token                 nothing: it has no login     nothing: it has no login
    ================= ========================= ============================ =============================

    A guest id has 122 random bits, so knowing it is proof of identity; the shop's own ids, including ``guest_42``, are
    often sequential numbers, so knowing one proves nothing. Another user's token is refused even where anybody is
    allowed, because the request contradicts itself. A publishable key grants nothing.
    """
    if not isinstance(action, Action):
        return _staff(credential, action)
    if isinstance(credential, UserToken):
        owner = credential.claims.user_id
        if user_id is not None and user_id != owner:
            raise Forbidden("The access token belongs to another user than user_id; send only one of the two.")
        if action is Action.CHANGE_LOGIN and kind_of(owner) is not IdKind.ACCOUNT:
            raise Forbidden("This needs an account. POST /auth/register creates one and keeps the guest's data.")
        return owner
    if action is Action.CHANGE_LOGIN:
        # The login belongs to the person, not to the shop.
        user_id = None
    is_secret_key = isinstance(credential, ApiKey) and credential.kind == "secret"
    if user_id is not None and is_secret_key:
        return user_id
    if action in _NEEDS_CREDENTIAL:
        if isinstance(credential, AdminToken):
            raise InvalidToken(
                "ADMIN_TOKEN belongs to no user; send a user's access token.", headers=INVALID_TOKEN_CHALLENGE
            )
        raise Unauthorized(
            "Send an access token: Authorization: Bearer <token>."
            if action is Action.CHANGE_LOGIN
            else "Merging a guest needs proof: send the guest's access token (Authorization: Bearer <token>), or a "
            "secret API key (X-API-Key)."
            if action is Action.MERGE
            else "Send the user's access token (Authorization: Bearer <token>), or user_id with a secret API key "
            "(X-API-Key).",
            headers=CHALLENGE,
        )
    if user_id is None:
        raise Unauthorized(
            "Name the user: send the parameter user_id, or an access token (Authorization: Bearer <token>).",
            headers=CHALLENGE,
        )
    kind = kind_of(user_id)
    if kind is IdKind.ACCOUNT:
        raise Unauthorized(
            "This user_id is an account's: send its access token (Authorization: Bearer <token>), or a secret API key "
            "(X-API-Key).",
            headers=CHALLENGE,
        )
    if action is Action.WRITE_EVENTS or kind is IdKind.GUEST or settings().shop_ids_suffice:
        return user_id
    raise Unauthorized(
        "This user_id is the shop's own: send a secret API key (X-API-Key) from the shop's server, or a token of "
        "POST /auth/user-token (Authorization: Bearer <token>). A browser without either uses POST /auth/guest.",
        headers=CHALLENGE,
    )


def _staff(credential: Credential, permission: Permission) -> str:
    if isinstance(credential, NoCredential | ApiKey):
        raise Unauthorized("Send a staff member's token: Authorization: Bearer <token>.", headers=ADMIN_CHALLENGE)
    if isinstance(credential, AdminToken):
        if not allowed("machine", permission):
            raise Forbidden(
                f"ADMIN_TOKEN is for scripts and does not have the permission {permission}; log in as a staff member."
            )
        return MACHINE_ACTOR
    if not allowed(credential.claims.role, permission):
        raise Forbidden(f"The role {credential.claims.role} does not have the permission {permission}.")
    return credential.claims.user_id


def bearer(authorization: str | None) -> str | None:
    """Return the bearer token of an Authorization header, or None."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if token and scheme.lower() == "bearer" else None


def _is_admin_token(token: str) -> bool:
    expected = settings().admin_token
    # Compared as bytes, because compare_digest accepts text only if it is ASCII.
    return expected is not None and hmac.compare_digest(
        token.encode("utf-8", "replace"), expected.get_secret_value().encode()
    )


def credential_of(token: str | None, key: ApiKey | None = None, *, may_block: bool = False) -> Credential:
    """Return the credential of a request for users' data: the token, or else the API key.

    ``key`` is a verified key, as the edge puts it into the request. ``may_block`` permits fetching the keys of an
    identity token's issuer. Raises InvalidToken, TokenExpired and IssuerKeysUnknown.
    """
    if token is None:
        return NO_CREDENTIAL if key is None else key
    if (issuer := identity_tokens.issuer_of(token)) is not None:
        return UserToken(identity_tokens.verify(token, issuer, may_read_keys=may_block))
    return _ADMIN_TOKEN if _is_admin_token(token) else UserToken(verify(token))


def staff_credential_of(token: str | None) -> Credential:
    """Return the credential of a request to operate the shop.

    Raises InvalidToken and TokenExpired for a JWT, and Forbidden for any other token that is not ADMIN_TOKEN.
    """
    if token is None:
        return NO_CREDENTIAL
    # A JWT has two dots; a token generated by `openssl rand` or `secrets` has none.
    if token.count(".") == 2:
        return UserToken(verify(token))
    if settings().admin_token is None:
        raise Forbidden("ADMIN_TOKEN is not set: log in as an admin and send that access token.")
    if not _is_admin_token(token):
        raise Forbidden("The token is not ADMIN_TOKEN; send the setting's value, or a staff member's access token.")
    return _ADMIN_TOKEN


def require_session(credential: Credential) -> None:
    """Raise InvalidToken if the credential is a token whose session has ended. Reads Postgres."""
    if not isinstance(credential, UserToken):
        return
    claims = credential.claims
    if kind_of(claims.user_id) is IdKind.OTHER:
        # Nobody logs in with the shop's own ids, so a token for one has no session.
        return
    # Imported here because most functions and requests never look up a session.
    from shared.storage.people import refresh_tokens

    try:
        refresh_tokens.require_session(claims.user_id, claims.role, claims.epoch, claims.session_id)
    except InvalidToken as error:
        raise InvalidToken(error.detail, headers=INVALID_TOKEN_CHALLENGE) from None


def own(user_id: str | None, token: str | None, key: ApiKey | None = None) -> str:
    """Return the user whose data a request may access, by its ``user_id``, token and key. Used on the hot path."""
    return authorise(user_id, credential_of(token, key), Action.ACCESS_OWN_DATA)


# FastAPI dependencies. They are `async` even if they await nothing, because FastAPI runs plain functions in a thread.
_token = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    bearerFormat="JWT",
    description="Access token of a guest or an account, from POST /auth/guest, /auth/register or /auth/login.",
)
_admin = HTTPBearer(
    auto_error=False,
    scheme_name="admin",
    description="Access token of a staff member, or the value of the setting ADMIN_TOKEN.",
)
_key = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    scheme_name="key",
    description="A secret API key (`sk_…`) acts for any user and must stay on the shop's server. A publishable one "
    "(`pk_…`) identifies a client and may also be the query parameter `key`.",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_token)]
USER_ID_DESCRIPTION: Final = (
    "Id of the user: the shop's own, or one that the browser generated. Not needed with an access token."
)
UserIdParameter = Annotated[UserId | None, Query(description=USER_ID_DESCRIPTION)]


async def _bearer_token(credentials: Credentials = None) -> str | None:
    return credentials.credentials if credentials else None


BearerToken = Annotated[str | None, Depends(_bearer_token)]


async def _api_key(request: Request, _described: Annotated[str | None, Depends(_key)] = None) -> ApiKey | None:
    # The edge has verified the key (shared/http/edge.py) and removed it from the URL.
    key: ApiKey | None = request.scope.get("aisle.key")
    return key


async def _credential(token: BearerToken, key: Annotated[ApiKey | None, Depends(_api_key)]) -> Credential:
    try:
        return credential_of(token, key)
    except identity_tokens.IssuerKeysUnknown:
        return await run_in_threadpool(credential_of, token, key, may_block=True)


PresentedCredential = Annotated[Credential, Depends(_credential)]


# An id that is its own proof, such as a guest's, needs no credential; an account's needs its token or a secret key.
_optional: Final = accepts(NOTHING, TOKEN, KEY)


@_optional
async def _reporting_credential(credential: PresentedCredential) -> Credential:
    return credential


ReporterCredential = Annotated[Credential, Depends(_reporting_credential)]


@accepts(KEY, KEY | TOKEN)
async def _keyed_credential(credential: PresentedCredential) -> Credential:
    return credential


KeyedCredential = Annotated[Credential, Depends(_keyed_credential)]


@accepts(KEY)
async def described_key(_key: Annotated[ApiKey | None, Depends(_api_key)]) -> None:
    """Describe that the route needs an API key of either kind, which its function checks."""


@accepts(TOKEN, KEY)
def _live_credential(credential: PresentedCredential) -> Credential:
    # Not `async`: it waits for Postgres, so FastAPI runs it in a thread.
    require_session(credential)
    return credential


LiveCredential = Annotated[Credential, Depends(_live_credential)]


@accepts(KEY)
async def _secret_key_holder(key: Annotated[ApiKey | None, Depends(_api_key)]) -> str:
    if key is None or key.kind != "secret":
        raise Unauthorized("Send a secret API key: X-API-Key: sk_….", headers=KEY_CHALLENGE)
    return key.id


SecretKeyHolder = Annotated[str, Depends(_secret_key_holder)]


@_optional
async def _shopper(credential: PresentedCredential, user_id: UserIdParameter = None) -> str:
    return authorise(user_id, credential, Action.ACCESS_OWN_DATA)


@_optional
async def _maybe_shopper(credential: PresentedCredential, user_id: UserIdParameter = None) -> str | None:
    if user_id is None and not isinstance(credential, UserToken):
        return None
    return authorise(user_id, credential, Action.ACCESS_OWN_DATA)


async def _named_shopper(shopper: Annotated[str | None, Depends(_maybe_shopper)]) -> str:
    if shopper is None:
        missing = {"field": "user_id", "message": "Field required", "type": "missing"}
        raise InvalidRequest("user_id: Field required, unless an access token names the user.", errors=[missing])
    return shopper


async def _token_holder(credential: LiveCredential, user_id: UserIdParameter = None) -> str:
    return authorise(user_id, credential, Action.USE_PROFILE)


async def _erasing_or_exporting(credential: LiveCredential, user_id: UserIdParameter = None) -> str:
    return authorise(user_id, credential, Action.ERASE_OR_EXPORT)


@accepts(TOKEN)
async def _account_holder(credential: LiveCredential) -> str:
    return authorise(None, credential, Action.CHANGE_LOGIN)


Shopper = Annotated[str, Depends(_shopper)]
NamedShopper = Annotated[str, Depends(_named_shopper)]
MaybeShopper = Annotated[str | None, Depends(_maybe_shopper)]
TokenHolder = Annotated[str, Depends(_token_holder)]
DataOwner = Annotated[str, Depends(_erasing_or_exporting)]
AccountHolder = Annotated[str, Depends(_account_holder)]
StaffToken = Annotated[HTTPAuthorizationCredentials | None, Depends(_admin)]


def requires(permission: Permission) -> Any:
    """Return a dependency for routes that need a permission; its value is the actor's name for the audit log."""

    # not `async`: see _live_credential
    @accepts(ADMIN)
    def actor(credentials: StaffToken = None) -> str:
        return staff_actor(credentials, permission)

    return Depends(actor)


def staff_actor(credentials: HTTPAuthorizationCredentials | None, permission: Permission) -> str:
    """Return the actor's name. Raises Unauthorized without a token, and Forbidden for one without the permission."""
    credential = staff_credential_of(credentials.credentials if credentials else None)
    name = authorise(None, credential, permission)
    require_session(credential)
    return name


def key_or(permission: Permission) -> Any:
    """Return a dependency for routes for the shop's server: it requires a secret API key or a staff permission."""

    # not `async`: see _live_credential
    @accepts(KEY, ADMIN)
    def actor(
        key: Annotated[ApiKey | None, Depends(_api_key)],
        credentials: StaffToken = None,
    ) -> str:
        if key is not None and key.kind == "secret":
            return key.id
        if credentials is None:
            raise Unauthorized(
                "Send a secret API key (X-API-Key: sk_…) or a staff member's token (Authorization: Bearer <token>).",
                headers=ADMIN_CHALLENGE,
            )
        credential = staff_credential_of(credentials.credentials)
        name = authorise(None, credential, permission)
        require_session(credential)
        return name

    return Depends(actor)


CatalogAdmin = Annotated[str, requires("catalog:write")]
