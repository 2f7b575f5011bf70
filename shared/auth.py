"""Who may do what. For now: the admin routes need the ADMIN_TOKEN setting as a bearer token."""

import hmac
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.errors import Forbidden, Unauthorized
from shared.settings import settings

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aisle admin"'}
_bearer = HTTPBearer(auto_error=False, scheme_name="admin", description="The ADMIN_TOKEN setting.")


def require_admin(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None) -> str:
    """Return who is acting, as the audit log names them.

    Raises Unauthorized without a bearer token, and Forbidden with a wrong one or where ADMIN_TOKEN is not set.
    """
    if credentials is None or not credentials.credentials:
        raise Unauthorized("Send the admin token: Authorization: Bearer <token>.", headers=CHALLENGE)
    expected = settings().admin_token
    if expected is None:
        raise Forbidden("Admin routes are closed here: the setting ADMIN_TOKEN is not set.")
    # over bytes: compare_digest takes no other text than ASCII
    if not hmac.compare_digest(credentials.credentials.encode(), expected.get_secret_value().encode()):
        raise Forbidden("The admin token is wrong.")
    return "admin-token"


Admin = Annotated[str, Depends(require_admin)]
