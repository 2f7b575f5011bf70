"""Who may do what: ``authorise`` decides everywhere, from a user id, a credential and an action.

A request may carry an access token (``Authorization: Bearer``), an API key (``X-API-Key``) or both; a token takes
precedence over a key, because it identifies the caller more precisely. Routes read both with the dependencies of
``shared/http/credentials.py``.
"""

import hmac
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from shared import identity_tokens
from shared.api_keys import ApiKey
from shared.domain.identity import IdKind, Permission, allowed, kind_of
from shared.errors import Forbidden, InvalidToken, Unauthorized
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
