"""Request and response models of accounts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.domain.events import Text, printable
from shared.http import CursorPage, CursorPageQuery


class AccountsQuery(CursorPageQuery):
    """Which accounts to list."""

    email: Annotated[Text, StringConstraints(min_length=3, max_length=320)] | None = Field(
        None, description="Only the account with this email."
    )
    role: Literal["user", "support", "admin"] | None = Field(None, description="Only accounts with this role.")


class Account(BaseModel):
    """An account, as staff see it."""

    user_id: str = Field(description="Id of the user.")
    username: str | None = Field(description="Name of the account.")
    email: str | None = Field(description="Email of the account.")
    role: str = Field(description="`user`, `support` or `admin`.")
    city: str | None = Field(description="City; null if not set.")
    registered_at: datetime | None = Field(description="When it was registered.")
    email_verified: bool = Field(description="Whether the owner of the address has confirmed it.")


class AccountPage(CursorPage):
    """A page of accounts, newest first."""

    users: list[Account] = Field(description="The accounts of this page.")


class RoleAssignment(BaseModel):
    """The role to assign to an account. docs/accounts.md lists the permissions of each role."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "support", "admin"] = Field(description="The new role.")
    email: Annotated[str, StringConstraints(min_length=1, max_length=320), AfterValidator(printable)] | None = Field(
        None,
        description="The account's email as you saw it; 409 if it has changed since. The account's holder can change "
        "it at any time, and the link of a promotion goes to the current one.",
    )


class RoleChange(BaseModel):
    """A change of an account's role."""

    user_id: str = Field(description="Id of the user.")
    role: str = Field(description="The new role.")
    previous: str = Field(description="The previous role.")
    registered_at: datetime = Field(description="When the account was registered.")
    email_verified: bool = Field(description="Whether the owner of the account's address has confirmed it.")
    link: str | None = Field(
        description="After a promotion in a deployment without mail, the link that sets the account's password, once "
        "and within an hour: give it to the account's owner. Otherwise null."
    )
    mailed: bool = Field(description="Whether such a link is mailed to the account's address.")
