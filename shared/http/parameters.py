"""Parameters shared by the functions: models that refuse what they do not know."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.events import UserId


class Query(BaseModel):
    """Base of query parameter models: an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UserQuery(Query):
    """Base of the parameters of routes that take a ``Shopper`` (shared/auth.py), which is who is then asking."""

    user_id: UserId | None = Field(
        None, description="the shop's own id of the user, or one made by the browser; not needed with a token"
    )


K = Annotated[int, Field(ge=1, le=100, description="how many products")]
