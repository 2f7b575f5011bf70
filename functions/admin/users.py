"""Routes of accounts and personal data, for staff.

`ADMIN_TOKEN` has none of these permissions: it is for scripts. A user is named by the query parameter ``user_id``:
docs/decisions/0075-ids-in-queries.md. The routes with the id in the path remain for scripts that call them.
"""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi import Query as QueryParameters
from starlette.responses import Response

from functions.admin.schemas.users import Account, AccountPage, AccountsQuery, RoleAssignment, RoleChange
from shared import account_mails, mail, passwords
from shared.clients.postgres import transaction
from shared.domain.events import StoredUserId
from shared.errors import NotFound
from shared.http import private
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.http.schemas import PersonalDataExport
from shared.mail import sending
from shared.storage.answers import invalidation
from shared.storage.operations import audit
from shared.storage.paging import Place
from shared.storage.people import accounts, erasure, export, roles

router = APIRouter(prefix="/users", tags=["user-administration"])
UsersAdmin = Annotated[str, requires("users:write")]
_USER_ID = "Id of the user: an account's, a guest's, or the shop's own."
UserIdPath = Annotated[StoredUserId, Path(description=_USER_ID)]
NamedUser = Annotated[StoredUserId, QueryParameters(alias="user_id", description=_USER_ID)]


@router.get("", dependencies=[requires("users:read")])
def list_accounts(query: Annotated[AccountsQuery, QueryParameters()]) -> AccountPage:
    """List the accounts, newest first."""
    users, total, following = accounts.page(Place(query.page_size, query.offset, query.after), query.email, query.role)
    listed = [Account.model_validate(user, from_attributes=True) for user in users]
    return AccountPage(users=listed, **query.members_before(following, total))


@router.put("/role", responses=problem_responses(404, 409))
def assign_role(actor: UsersAdmin, user_id: NamedUser, body: RoleAssignment) -> RoleChange:
    """Assign a role to an account. Audited.

    Another role ends every session of the account. A higher role also removes its password, because the person who
    registered an address need not own it: a link that sets a new one is mailed to the address. 409 if it would leave
    the shop without an admin, or if the account has another email than the request says.
    """
    is_mailed = mail.is_configured()
    with transaction() as connection:
        before, url = roles.assign(
            connection,
            actor,
            user_id,
            body.role,
            unknown_hash=passwords.hash_unknown_password,
            purpose="reset_password" if is_mailed else "set_password",
            email=body.email,
        )
    if is_mailed and url is not None and before.email is not None:
        message = account_mails.promotion(before.email, body.role, url)
        sending.send(lambda: message)
    return RoleChange(
        user_id=user_id,
        role=body.role,
        previous=before.role,
        registered_at=before.registered_at or before.created_at,
        email_verified=before.email_verified,
        link=None if is_mailed else url,
        mailed=is_mailed and url is not None,
    )


@router.get("/export", response_model=PersonalDataExport, responses=problem_responses(404))
def export_user(actor: UsersAdmin, user_id: NamedUser) -> Response:
    """Export everything held on a user, at their request. Audited."""
    body = export.read_user_data(user_id)
    if body is None:
        raise NotFound(f"There is no user {user_id}.")
    with transaction() as connection:
        audit.record(connection, actor, "user.export", f"user:{user_id}")
    return private(body)


@router.delete("", status_code=204, responses=problem_responses(404))
def erase_user(actor: UsersAdmin, user_id: NamedUser) -> Response:
    """Erase a user, at their request. Audited, without the user's id."""
    with transaction(statement_timeout_s=0) as connection:
        user = accounts.lock(connection, user_id)
        if user is None:
            raise NotFound(f"There is no user {user_id}.")
        erased = erasure.erase(connection, user.user_id, user.email)
        audit.record(connection, actor, "user.erase", "erased")
    invalidation.forget_users(erased)
    return Response(status_code=204)


@router.put("/{user_id}/role", include_in_schema=False)
def assign_role_by_path(actor: UsersAdmin, user_id: UserIdPath, body: RoleAssignment) -> RoleChange:
    """Assign a role to an account, whose id is in the path."""
    return assign_role(actor, user_id, body)


@router.get("/{user_id}/export", include_in_schema=False)
def export_user_by_path(actor: UsersAdmin, user_id: UserIdPath) -> Response:
    """Export everything held on a user, whose id is in the path."""
    return export_user(actor, user_id)


@router.delete("/{user_id}", status_code=204, include_in_schema=False)
def erase_user_by_path(actor: UsersAdmin, user_id: UserIdPath) -> Response:
    """Erase a user, whose id is in the path."""
    return erase_user(actor, user_id)
