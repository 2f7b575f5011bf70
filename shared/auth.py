"""Who is asking, and may they: dependencies of routes, and the pure rule behind them for what has no routes.

* ``Shopper``      whose data is asked for: the token's user, else the parameter ``user_id``; required
* ``NamedShopper`` the same where ``user_id`` has always been a parameter: without it the request is not valid
* ``MaybeShopper`` the same where a route serves anybody; None when nobody is named
* ``Holder``       whoever holds a token, guests too
* ``Account``      the holder of a registered account's token
* ``requires("rules:write")``  a member of staff, or the ADMIN_TOKEN; gives the name for the audit log

A ``user_id`` that begins with ``acct_`` is an account's and needs its token. Any other is a capability: knowing it is
enough (docs/decisions/0008-accounts.md). ``own`` decides this without I/O. Models of query parameters that
refuse what they do not know need a ``user_id`` too: see ``shared/http/parameters.py``.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.domain.events import UserId
from shared.domain.identity import Permission, allowed, is_account
from shared.errors import Forbidden, InvalidRequest, Unauthorized
from shared.settings import settings
from shared.tokens import Claims, verify

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aisle"'}
ADMIN_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aisle admin"'}
_token = HTTPBearer(auto_error=False, scheme_name="token", bearerFormat="JWT", description="An access token.")
_admin = HTTPBearer(
    auto_error=False, scheme_name="admin", description="An access token of staff, or the ADMIN_TOKEN setting."
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_token)]
UserIdParameter = Annotated[
    UserId | None,
    Query(description="the shop's own id of the user, or one made by the browser; not needed with a token"),
]


def bearer(authorization: str | None) -> str | None:
    """Return the token of an Authorization header; None where it has none."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if token and scheme.lower() == "bearer" else None


def _is_machine(token: str) -> bool:
    """Whether this is ADMIN_TOKEN: whoever sends it along where shoppers are served is nobody."""
    expected = settings().admin_token
    # over bytes: compare_digest takes no other text than ASCII
    return expected is not None and hmac.compare_digest(
        token.encode("utf-8", "replace"), expected.get_secret_value().encode()
    )


def acting(user_id: str | None, token: str | None) -> str | None:
    """Return the id of the user whose data is asked for; None when nobody is named.

    Raises Unauthorized (InvalidToken, TokenExpired) for an account's id without its token, Forbidden for another's.
    """
    if token is not None and not _is_machine(token):
        claims = verify(token)
        if user_id is not None and user_id != claims.user_id:
            raise Forbidden("The token is another user's than user_id names; leave user_id out, or the token.")
        return claims.user_id
    if user_id is not None and is_account(user_id):
        raise Unauthorized(
            "This user_id is an account's: send its access token, Authorization: Bearer <token>.", headers=CHALLENGE
        )
    return user_id


def own(user_id: str | None, token: str | None) -> str:
    """Like ``acting``; raises Unauthorized also when nobody is named."""
    found = acting(user_id, token)
    if found is None:
        raise Unauthorized(
            "Say who is asking: the parameter user_id, or an access token (Authorization: Bearer <token>).",
            headers=CHALLENGE,
        )
    return found


# Dependencies are `async` though none waits: FastAPI runs a plain function in a thread.
async def _maybe_shopper(credentials: Credentials = None, user_id: UserIdParameter = None) -> str | None:
    return acting(user_id, credentials.credentials if credentials else None)


async def _shopper(credentials: Credentials = None, user_id: UserIdParameter = None) -> str:
    return own(user_id, credentials.credentials if credentials else None)


async def _named_shopper(found: Annotated[str | None, Depends(_maybe_shopper)]) -> str:
    if found is None:
        missing = {"field": "user_id", "message": "Field required", "type": "missing"}
        raise InvalidRequest("user_id: Field required, unless an access token says who is asking.", errors=[missing])
    return found


async def _holder(credentials: Credentials = None) -> Claims:
    if credentials is None:
        raise Unauthorized("Send an access token: Authorization: Bearer <token>.", headers=CHALLENGE)
    return verify(credentials.credentials)


async def _account(claims: Annotated[Claims, Depends(_holder)]) -> Claims:
    if not is_account(claims.user_id):
        raise Forbidden("This needs an account; POST /auth/register makes one and keeps what the guest did.")
    return claims


Shopper = Annotated[str, Depends(_shopper)]
NamedShopper = Annotated[str, Depends(_named_shopper)]
MaybeShopper = Annotated[str | None, Depends(_maybe_shopper)]
Holder = Annotated[Claims, Depends(_holder)]
Account = Annotated[Claims, Depends(_account)]


def actor(token: str | None, permission: Permission) -> str:
    """Return who is acting, as the audit log names them.

    Raises Unauthorized without a token or with one that is not valid, Forbidden where it does not give the permission
    or ADMIN_TOKEN is another or not set.
    """
    if token is None:
        raise Unauthorized("Send a token of staff: Authorization: Bearer <token>.", headers=ADMIN_CHALLENGE)
    # a JWT has two dots; a token made by `openssl rand` or `secrets` has none
    if token.count(".") == 2:
        claims = verify(token)
        if not allowed(claims.role, permission):
            raise Forbidden(f"The role {claims.role} does not have the permission {permission}.")
        return claims.user_id
    if settings().admin_token is None:
        raise Forbidden("The setting ADMIN_TOKEN is not set here: log in as an admin and send that access token.")
    if not _is_machine(token):
        raise Forbidden("The admin token is wrong.")
    if not allowed("machine", permission):
        raise Forbidden(f"ADMIN_TOKEN is for machines, and does not have the permission {permission}.")
    return "admin-token"


def requires(permission: Permission) -> Any:
    """Return the dependency of a route that needs a permission; its value is the actor's name for the audit log."""

    async def checked(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_admin)] = None) -> str:
        return actor(credentials.credentials if credentials else None, permission)

    dependency: Callable[..., Awaitable[str]] = checked
    return Depends(dependency)


CatalogAdmin = Annotated[str, requires("catalog:write")]
