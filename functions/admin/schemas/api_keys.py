"""Request and response models of API keys."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.domain.events import printable


class ApiKeyCreation(BaseModel):
    """An API key to create."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["publishable", "secret"] = Field(
        description="`publishable` for pages and apps, `secret` for the shop's servers."
    )
    name: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)] = Field(
        description="What the key is for."
    )


class ApiKey(BaseModel):
    """An API key, without the key itself."""

    id: str = Field(description="Id of the API key: the second part of the key.")
    kind: Literal["publishable", "secret"] = Field(
        description="`publishable` for pages and apps, `secret` for the shop's servers."
    )
    name: str = Field(description="What the key is for.")
    created_by: str = Field(description="Who created it.")
    created_at: datetime = Field(description="When it was created.")
    revoked_at: datetime | None = Field(description="When it was revoked; null while it is valid.")


class NewApiKey(ApiKey):
    """A new API key, with the key itself."""

    key: str = Field(description="The key itself: `pk_…` or `sk_…`. It is shown only here.")


class ApiKeyList(BaseModel):
    """All API keys, oldest first."""

    api_keys: list[ApiKey] = Field(description="The keys.")
