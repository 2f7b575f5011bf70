"""Parameters shared by the functions: models that refuse what they do not know."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


def ids_in(value: str, max_ids: int) -> list[int]:
    """Return the ids of a comma-separated list in their order, each once; an empty text is an empty list.

    Raises ValueError unless each id is 1 or more, and if there are more than ``max_ids``.
    """
    if not value:
        return []
    texts = value.split(",")
    if len(texts) > max_ids or not all(re.fullmatch("[1-9][0-9]{0,14}", text) for text in texts):
        raise ValueError(f"must be up to {max_ids} ids of 1 or more, separated by commas")
    return list(dict.fromkeys(map(int, texts)))


def id_list(max_ids: int) -> AfterValidator:
    """Return the validator of a text parameter that ``ids_in`` reads."""

    def check(value: str) -> str:
        ids_in(value, max_ids)
        return value

    return AfterValidator(check)
