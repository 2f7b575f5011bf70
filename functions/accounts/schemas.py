"""Request and response models of the accounts function."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from shared.domain.email_addresses import valid_email
from shared.domain.events import Text, UserId, printable
from shared.domain.identity import IdKind, is_account, kind_of
from shared.domain.patches import without_defaults
from shared.domain.text import nfkc
from shared.http import CursorPage, CursorPageQuery, UserQuery
from shared.storage.people.merging import LeftReason

USERNAME: Final = r"^[^\W_]([\w.-]*[^\W_])?$"


def one_line(value: str) -> str:
    """Return the text stripped; raise ValueError if it is empty, not printable or has line breaks."""
    value = printable(value).strip()
    if any(character in value for character in "\n\r\t"):
        raise ValueError("must be one line")
    if not value:
        raise ValueError("must not be empty")
    return value


def username_characters(value: object) -> object:
    """Return the value; raise ValueError for text with characters that no username has."""
    if isinstance(value, str) and not re.fullmatch(USERNAME, value):
        raise ValueError("must have only letters, digits, `_`, `.` and `-`, with a letter or digit first and last")
    return value


def guest_id(value: str) -> str:
    """Return ``value``; raise ValueError for an account's id."""
    if is_account(value):
        raise ValueError("must be a guest's id, not an account's")
    return value


def shop_id(value: str) -> str:
    """Return ``value``; raise ValueError for an id that was issued here."""
    if kind_of(value) is not IdKind.OTHER:
        raise ValueError("must be the shop's own id; accounts and guests get tokens at /auth/login and /auth/guest")
    return value


Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=320, strip_whitespace=True),
    AfterValidator(valid_email),
    Field(description="Email address, with which the account logs in."),
]
Username = Annotated[
    str,
    # a letter or digit first and last: names that differ only by punctuation around them look alike
    StringConstraints(min_length=3, max_length=50, pattern=USERNAME),
    BeforeValidator(username_characters),
    AfterValidator(one_line),
    nfkc(50),
    Field(description="Unique name: letters, digits, `_`, `.` and `-`, with a letter or digit first and last."),
]
# only the length: shared/passwords.py has the rules for new passwords, and an old one is only compared
Password = Annotated[str, StringConstraints(min_length=1, max_length=512)]
City = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(one_line),
    nfkc(100),
    Field(description="Name of the city."),
]
GuestUserId = Annotated[
    Annotated[UserId, AfterValidator(guest_id)] | None,
    Field(
        description="Id of a guest whose cart, wishlist, history and preferences become the account's. A later login "
        "also moves what has been added since. The request carries that guest's access token (`Authorization: Bearer`) "
        "or a secret API key."
    ),
]
RefreshToken = Annotated[
    str, StringConstraints(min_length=1, max_length=512), Field(description="A refresh token; it can be used once.")
]
LinkToken = Annotated[
    str, StringConstraints(min_length=1, max_length=200), Field(description="Token of a mailed link; valid once.")
]


class Body(BaseModel):
    """Base of request bodies: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")


class AccountRegistration(Body):
    """A new account."""

    username: Username
    email: Email
    password: Password = Field(description="8 to 128 characters; common passwords are refused.")
    guest_user_id: GuestUserId = None


class LoginRequest(Body):
    """Email and password of an account."""

    email: Annotated[
        str,
        StringConstraints(min_length=1, max_length=320, strip_whitespace=True),
        AfterValidator(printable),
        Field(description="Email address of the account."),
    ]
    password: Password = Field(description="Password of the account.")
    guest_user_id: GuestUserId = None


class RefreshRequest(Body):
    """A refresh token."""

    refresh_token: RefreshToken


class UserTokenRequest(Body):
    """One of the shop's own users."""

    user_id: Annotated[UserId, AfterValidator(shop_id)] = Field(description="The shop's own id of the user.")


class PasswordChange(Body):
    """The current password and the new one."""

    current_password: Password = Field(description="The current password.")
    new_password: Password = Field(description="8 to 128 characters; common passwords are refused.")


class PasswordResetRequest(Body):
    """The address of an account whose password is forgotten."""

    email: Email


class NewPassword(Body):
    """A new password, and the token of the link that permits it."""

    token: LinkToken
    new_password: Password = Field(description="8 to 128 characters; common passwords are refused.")


class EmailVerification(Body):
    """The token of the link that was mailed to an address."""

    token: LinkToken


class MailAccepted(BaseModel):
    """A request for a message was accepted."""

    message: str = Field(description="Text for the person who made the request: whether a message is on its way.")


class TokenPair(BaseModel):
    """An access token with its refresh token. Guests and accounts get the same."""

    access_token: str = Field(description="JWT to send as `Authorization: Bearer <token>`.")
    refresh_token: str = Field(description="Can be exchanged for a new pair at POST /auth/refresh, once.")
    token_type: Literal["bearer"] = Field("bearer", description="Always `bearer`.")
    expires_in: int = Field(description="Seconds for which the access token is valid.")
    user_id: str = Field(description="Id of the user.")


class LeftCartItem(BaseModel):
    """Pieces in the guest's cart that did not fit into the account's."""

    product_id: int = Field(description="Id of the product.")
    quantity: int = Field(description="Number of pieces that stay in the guest's cart.")
    reason: LeftReason = Field(
        description="`cart_full`: the cart has no room for another product. `insufficient_stock`: together with the "
        "account's own, there are more pieces than in stock. `quantity_limit`: more pieces than a cart item may have."
    )


class UserMerge(BaseModel):
    """Two ids that are one user from now on."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"from": "visitor-7f3a", "to": "customer-42"}]}
    )

    from_: UserId = Field(alias="from", description="Id whose data is moved.")
    to: UserId = Field(description="Id that receives the data.")
    from_token: Text | None = Field(
        None, max_length=4_096, description="Access token of `from`. Not needed with a secret API key."
    )


class GuestMerge(BaseModel):
    """Result of merging a guest into the account. Cart and wishlist items that do not fit stay with the guest."""

    merged: bool = Field(description="`false`: the guest was erased, or belongs to another account; nothing moved.")
    left_cart_items: list[LeftCartItem] = Field(description="Pieces that stay in the guest's cart.")
    left_wishlist: list[int] = Field(
        description="Ids of products that stay on the guest's wishlist, because the account's is full."
    )


class LoginTokens(TokenPair):
    """The tokens of a login or registration, and the result of merging a guest."""

    merge: GuestMerge | None = Field(None, description="Result of merging `guest_user_id`; null if it was omitted.")


class AccessToken(BaseModel):
    """An access token without a refresh token: the shop's server requests the next access token."""

    access_token: str = Field(description="JWT to send as `Authorization: Bearer <token>`.")
    token_type: Literal["bearer"] = Field("bearer", description="Always `bearer`.")
    expires_in: int = Field(description="Seconds for which the access token is valid.")
    user_id: str = Field(description="Id of the user.")


class UserProfile(BaseModel):
    """A user's own view of their profile. A guest has neither username nor email."""

    user_id: str = Field(description="Id of the user.")
    username: str | None = Field(description="Name of the account; null for a guest.")
    email: str | None = Field(description="Email of the account; null for a guest.")
    email_verified: bool = Field(
        description="Whether the user has confirmed, by a mailed link, that the email is theirs. A new email is "
        "unconfirmed."
    )
    role: Literal["guest", "user", "support", "admin"] = Field(description="Role, which decides what staff may do.")
    city: str | None = Field(description="City; null if not set.")
    latitude: float | None = Field(description="Latitude in degrees; null if no location is set.")
    longitude: float | None = Field(description="Longitude in degrees; null if no location is set.")
    created_at: datetime = Field(description="When the user was first seen.")
    registered_at: datetime | None = Field(description="When the account was registered; null for a guest.")


class ProfileChange(Body):
    """The fields to change. A new email needs the current password too."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    username: Username | None = Field(None, description="The new name.")
    email: Email | None = Field(None, description="The new email.")
    city: City | None = Field(None, description="Name of the city; null removes it.")
    password: Password | None = Field(None, description="The current password; required to change the email.")

    @model_validator(mode="after")
    def complete(self) -> "ProfileChange":
        """Require a field to change, and the password for a new email."""
        changed = self.model_fields_set - {"password"}
        if not changed:
            raise ValueError("give at least one of username, email and city; password alone changes nothing")
        for name in ("username", "email"):
            if name in changed and getattr(self, name) is None:
                raise ValueError(f"{name} must not be null")
        if "email" in changed and self.password is None:
            raise ValueError("changing the email requires the current password, as `password`")
        return self


class UserLocation(Body):
    """Where a user is."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    latitude: float = Field(ge=-90, le=90, allow_inf_nan=False, description="Latitude in degrees.")
    longitude: float = Field(ge=-180, le=180, allow_inf_nan=False, description="Longitude in degrees.")
    city: City | None = Field(None, description="Name of the city. If omitted, it stays as it is; null removes it.")


class Preference(BaseModel):
    """A category, brand or tag that the user likes."""

    key: str = Field(description="Id of the category, or the brand or tag itself.")
    name: str | None = Field(None, description="Name of the category; null for brands and tags.")
    score: float = Field(description="Sum of the user's event weights, decayed to now.")
    share: float = Field(description="Score as a share of all scores of this kind, from 0 to 1.")


class UsualPrices(BaseModel):
    """The prices that a user usually pays."""

    mean: float = Field(description="Geometric mean.")
    low: float = Field(description="One standard deviation below the mean, on a logarithmic scale.")
    high: float = Field(description="One standard deviation above the mean, on a logarithmic scale.")


class UserPreferences(BaseModel):
    """A user's preferences, derived from their events; strongest first."""

    user_id: str = Field(description="Id of the user.")
    categories: list[Preference] = Field(description="Preferred categories.")
    brands: list[Preference] = Field(description="Preferred brands.")
    tags: list[Preference] = Field(description="Preferred tags.")
    price_band: UsualPrices | None = Field(description="Usual prices; null without enough events.")


class PastSearch(BaseModel):
    """A text that the user searched for."""

    query: str = Field(description="The text.")
    searches: int = Field(description="How often it was searched for.")
    first_at: datetime = Field(description="When it was first searched for.")
    last_at: datetime = Field(description="When it was last searched for.")


class SearchHistoryQuery(CursorPageQuery, UserQuery):
    """A page of the searches of a user, whom a secret API key names by ``user_id``."""


class SearchHistoryPage(CursorPage):
    """A page of past searches, latest first."""

    searches: list[PastSearch] = Field(description="The searches of this page.")
