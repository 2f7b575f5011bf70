"""Dependencies of routes that read the credential of a request and ask ``shared.auth.authorise`` what it may do.

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

``TokenHolder``, ``DataOwner``, ``AccountHolder`` and ``requires`` look up the token's session and refuse a token whose
session has ended; elsewhere an access token is valid until it expires.

Query models that reject unknown parameters must declare ``user_id`` themselves: see ``UserQuery`` in
``shared/http/parameters.py``.
"""

from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from shared import identity_tokens
from shared.accepted_credentials import ADMIN, KEY, NOTHING, TOKEN, accepts
from shared.api_keys import KEY_CHALLENGE, ApiKey
from shared.auth import (
    ADMIN_CHALLENGE,
    Action,
    Credential,
    UserToken,
    authorise,
    credential_of,
    require_session,
    staff_credential_of,
)
from shared.domain.events import UserId
from shared.domain.identity import Permission
from shared.errors import InvalidRequest, Unauthorized

# Dependencies are `async` even if they await nothing, because FastAPI runs plain functions in a thread.
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
