"""What goes in and out of the accounts function: bodies that are checked, answers that are documented."""

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.domain.events import UserId, printable
from shared.domain.identity import is_account
from shared.http import Query

EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{1,62}")


def valid_email(value: str) -> str:
    """Return the email in NFKC. Whether somebody reads it only a message there can tell."""
    value = unicodedata.normalize("NFKC", value)
    if len(value) > 254 or not EMAIL.fullmatch(value) or ".." in value or value.startswith("."):
        raise ValueError("must be an email address, such as name@example.com")
    return value


def one_line(value: str) -> str:
    """Return printable text without line breaks or space around it."""
    value = printable(unicodedata.normalize("NFKC", value)).strip()
    if any(character in value for character in "\n\r\t"):
        raise ValueError("must be one line")
    if not value:
        raise ValueError("must not be empty")
    return value


def guest_id(value: str) -> str:
    """Refuse an account's id where a guest's is meant."""
    if is_account(value):
        raise ValueError("must be a guest's id, not an account's")
    return value


Email = Annotated[
    str, StringConstraints(min_length=3, max_length=320, strip_whitespace=True), AfterValidator(valid_email)
]
Username = Annotated[
    str,
    # a letter or digit first and last, so that two names cannot only look alike by what is around them
    StringConstraints(min_length=3, max_length=50, pattern=r"^[^\W_]([\w.-]*[^\W_])?$"),
    AfterValidator(one_line),
]
# its rules are those of shared/passwords.py, for new ones; an old one is only compared
Password = Annotated[str, StringConstraints(min_length=1, max_length=512)]
City = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(one_line)]
Guest = Annotated[
    Annotated[UserId, AfterValidator(guest_id)] | None,
    Field(description="the guest who logs in: cart, wishlist, history and preferences become the account's, once"),
]
RefreshToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class Body(BaseModel):
    """Base of bodies: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")


class Register(Body):
    """A new account."""

    username: Username
    email: Email
    password: Password = Field(description="8 to 128 characters, and not among those that are guessed first")
    guest_user_id: Guest = None


class Login(Body):
    """Who logs in."""

    email: Annotated[str, StringConstraints(min_length=1, max_length=320, strip_whitespace=True)]
    password: Password
    guest_user_id: Guest = None


class Refresh(Body):
    """A refresh token; it can be used once."""

    refresh_token: RefreshToken


class ChangePassword(Body):
    """The password as it is, and as it shall be."""

    current_password: Password
    new_password: Password


class Tokens(BaseModel):
    """What guests, accounts and refreshing clients get alike; ``expires_in``: seconds of the access token."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 — the kind of token
    expires_in: int
    user_id: str


class Profile(BaseModel):
    """A user as they see themselves; a guest has no username and email."""

    user_id: str
    username: str | None
    email: str | None
    role: Literal["guest", "user", "support", "admin"]
    city: str | None
    latitude: float | None
    longitude: float | None
    created_at: datetime
    registered_at: datetime | None


class ChangeProfile(Body):
    """What to change; a new email needs the password too."""

    username: Username | None = None
    email: Email | None = None
    city: City | None = Field(None, description="null takes it away")
    password: Password | None = Field(None, description="the current one; needed to change the email")

    @model_validator(mode="after")
    def whole(self) -> "ChangeProfile":
        """Require something to change, and the password for the address that the account goes by."""
        given = self.model_fields_set - {"password"}
        if not given:
            raise ValueError("give username, email or city")
        for name in ("username", "email"):
            if name in given and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be taken away")
        if "email" in given and self.password is None:
            raise ValueError("changing the email needs the current password")
        return self


class Location(Body):
    """Where a user is."""

    latitude: float = Field(ge=-90, le=90, allow_inf_nan=False)
    longitude: float = Field(ge=-180, le=180, allow_inf_nan=False)
    city: City | None = None


class Preference(BaseModel):
    """Something liked: its decayed score now, and its share of its kind."""

    key: str
    name: str | None = None
    score: float
    share: float


class PriceBand(BaseModel):
    """What is usually paid: the geometric mean, and the band in which two thirds lie."""

    mean: float
    low: float
    high: float


class Preferences(BaseModel):
    """A user's preferences as the system sees them, strongest first; a category's key is its id."""

    user_id: str
    categories: list[Preference]
    brands: list[Preference]
    tags: list[Preference]
    price_band: PriceBand | None


class PageQuery(Query):
    """Which page of a list."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    page_size: Annotated[int, Field(ge=1, le=100)] = 50


class Search(BaseModel):
    """A query, and when and how often it was searched for."""

    query: str
    searches: int
    first_at: datetime
    last_at: datetime


class SearchHistory(BaseModel):
    """A page of searches, latest first."""

    searches: list[Search]
    total: int
    page: int
    page_size: int
    total_pages: int


class Export(BaseModel):
    """Everything held on a user; events and answers as they are stored."""

    model_config = ConfigDict(extra="allow")

    exported_at: datetime
    profile: dict[str, Any]
