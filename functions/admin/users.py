"""Accounts as staff see them: who there is, which role they have; a person's data read or erased at their request.

`ADMIN_TOKEN` has none of these permissions: it is for machines.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from fastapi import Query as QueryParameters
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import Response

from functions.admin import schemas
from shared.auth import requires
from shared.clients.postgres import transaction
from shared.domain.events import UserId
from shared.errors import NotFound
from shared.http import private
from shared.http.api import problem_responses
from shared.storage.answers import invalidation
from shared.storage.operations import audit
from shared.storage.people import accounts, erasure
from shared.storage.people.export import read_user_data

router = APIRouter(prefix="/users")
Writer = Annotated[str, requires("users:write")]
Known = Annotated[UserId, Path(description="an account's id, a guest's, or the shop's own")]


class UsersQuery(schemas.Page):
    """Which accounts."""

    email: Annotated[str, StringConstraints(min_length=3, max_length=320)] | None = None
    role: Literal["user", "support", "admin"] | None = None


class User(BaseModel):
    """An account."""

    user_id: str
    username: str | None
    email: str | None
    role: str
    city: str | None
    registered_at: datetime | None


class Users(BaseModel):
    """A page of accounts, newest first."""

    users: list[User]
    total: int
    page: int
    page_size: int
    total_pages: int


class Role(BaseModel):
    """What an account may do: shared/domain/identity.py."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "support", "admin"]


class Given(BaseModel):
    """The role that an account has now, and the one it had."""

    user_id: str
    role: str
    previous: str


@router.get("", dependencies=[requires("users:read")])
def get_users(query: Annotated[UsersQuery, QueryParameters()]) -> Users:
    """Page through the accounts, newest first."""
    found, total = accounts.page(query.page_size, query.offset, query.email, query.role)
    users = [User.model_validate(one, from_attributes=True) for one in found]
    return Users(users=users, **query.of(total))


@router.put("/{user_id}/role", responses=problem_responses(404, 409))
def give_role(actor: Writer, user_id: Known, body: Role) -> Given:
    """Give an account a role; its tokens have it from the next refresh on. The last admin stays one."""
    with transaction() as connection:
        previous, role = accounts.set_role(connection, user_id, body.role)
        audit.record(connection, actor, "user.role", f"user:{user_id}", before={"role": previous}, after={"role": role})
    return Given(user_id=user_id, role=role, previous=previous)


@router.get("/{user_id}/export", response_model=schemas.Export, responses=problem_responses(404))
def export_user(actor: Writer, user_id: Known) -> Response:
    """Get everything held on a person who asked the shop for it. That it was read is audited."""
    body = read_user_data(user_id)
    if body is None:
        raise NotFound("There is no such user.")
    with transaction() as connection:
        audit.record(connection, actor, "user.export", f"user:{user_id}")
    return private(body)


@router.delete("/{user_id}", status_code=204, responses=problem_responses(404))
def erase_user(actor: Writer, user_id: Known) -> Response:
    """Erase a person who asked the shop for it; the log says that it was done, and not to whom."""
    with transaction(statement_timeout_s=0) as connection:
        user = accounts.lock(connection, user_id)
        if user is None:
            raise NotFound("There is no such user.")
        gone = erasure.erase(connection, user.user_id, user.email)
        audit.record(connection, actor, "user.erase", "erased")
    invalidation.forget_users(gone)
    return Response(status_code=204)
