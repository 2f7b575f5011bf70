"""Request and response models of API keys."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.domain.events import printable


class ApiKeyCreation(BaseModel):
    """An API key to make."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["publishable", "secret"] = Field(
        description="`publishable` for pages and apps, `secret` for the shop's servers."
    )
    name: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)] = Field(
        description="What the key is for."
    )


class ApiKey(BaseModel):
    """An API key without its text."""

    id: str = Field(description="Id of the key: its second part.")
    kind: Literal["publishable", "secret"] = Field(
        description="`publishable` for pages and apps, `secret` for the shop's servers."
    )
    name: str = Field(description="What the key is for.")
    created_by: str = Field(description="Who made it.")
    created_at: datetime = Field(description="When it was made.")
    revoked_at: datetime | None = Field(description="When it was revoked; null while it is valid.")


class NewApiKey(ApiKey):
    """A new API key with its text."""

    key: str = Field(description="The key itself: `pk_…` or `sk_…`. It is shown only here.")


class ApiKeyList(BaseModel):
    """All API keys, oldest first."""

    api_keys: list[ApiKey] = Field(description="The keys.")
