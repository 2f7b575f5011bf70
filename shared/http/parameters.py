"""Parameters shared by the functions: models that refuse what they do not know."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Query(BaseModel):
    """Base of query parameter models: an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


K = Annotated[int, Field(ge=1, le=100, description="how many products")]
