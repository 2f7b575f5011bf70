"""Parameters that several functions share. Query models refuse unknown parameters."""

import re
from typing import Annotated, Any, Final, Self

from fastapi import Header
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.domain.category_references import spaced
from shared.domain.cursors import MAX_CURSOR_CHARACTERS
from shared.domain.events import UserId, printable
from shared.domain.text import nfc
from shared.http.credentials import USER_ID_DESCRIPTION

K = Annotated[int, Field(ge=1, le=100, description="Maximum number of products to return.")]

MAX_CATEGORY_NAME: Final = 500
# A category's path or name, as a filter.
CategoryName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CATEGORY_NAME),
    AfterValidator(printable),
    AfterValidator(spaced),
    nfc(MAX_CATEGORY_NAME),
]

_IDEMPOTENCY_KEY: Final = Header(
    alias="Idempotency-Key",
    min_length=1,
    max_length=255,
    pattern=r"^[\x20-\x7e]+$",
    description="Makes repeating the request safe: sent again with the same key within 24 hours, it takes effect once.",
)
IdempotencyKey = Annotated[str | None, _IDEMPOTENCY_KEY]
# For requests that must never take effect twice.
RequiredIdempotencyKey = Annotated[str, _IDEMPOTENCY_KEY]


class Query(BaseModel):
    """Base of query parameter models: an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """No query parameters."""


class UserQuery(Query):
    """Base of the query parameters of routes that depend on a user: adds ``user_id`` (shared/http/credentials.py)."""

    user_id: UserId | None = Field(None, description=USER_ID_DESCRIPTION)


Cursor = Annotated[
    str | None,
    Field(
        max_length=MAX_CURSOR_CHARACTERS,
        pattern="^[A-Za-z0-9_-]+$",
        description="Cursor: `next` of the previous page. Replaces `page`.",
    ),
]


def require_one_start(page: int, after: str | None) -> None:
    """Raise ValueError if both a page number and a cursor are given."""
    if after is not None and page != 1:
        raise ValueError("send page or after, not both")


class PageQuery(Query):
    """A page of a list."""

    page: Annotated[int, Field(ge=1, le=1_000_000, description="Number of the page, from 1.")] = 1
    page_size: Annotated[int, Field(ge=1, le=100, description="Entries per page.")] = 50

    @property
    def offset(self) -> int:
        """Number of entries before this page."""
        return (self.page - 1) * self.page_size

    def members(self, total: int) -> dict[str, int]:
        """Return the members ``total``, ``page``, ``page_size`` and ``total_pages`` of a page of a list."""
        pages = -(-total // self.page_size)
        return {"total": total, "page": self.page, "page_size": self.page_size, "total_pages": pages}


class CursorPageQuery(PageQuery):
    """A page of a list, by number or after a cursor."""

    after: Cursor = None

    @model_validator(mode="after")
    def with_one_start(self) -> Self:
        """Refuse a page number together with a cursor."""
        require_one_start(self.page, self.after)
        return self

    def members_before(self, following: str | None, total: int) -> dict[str, Any]:
        """Return ``members`` and ``next``, the cursor of the following page."""
        return {"next": following, **self.members(total)}


class Page(BaseModel):
    """Base of response models that are a page of a list. A page beyond the end is empty."""

    total: int = Field(description="Number of entries on all pages.")
    page: int = Field(description="Number of this page, from 1.")
    page_size: int = Field(description="Entries per page.")
    total_pages: int = Field(description="Number of pages.")


class CursorPage(Page):
    """Base of pages that also give a cursor."""

    next: str | None = Field(
        description="Cursor of the next page, to be sent as `after`. Unlike a page number it neither skips nor repeats "
        "entries when others come or go. Null on the last page."
    )


def ids_in(value: str, max_ids: int) -> list[int]:
    """Return the distinct ids of a comma-separated list in order; an empty text is an empty list.

    Raises ValueError if an id is not an integer of at least 1, or if there are more than ``max_ids``.
    """
    if not value:
        return []
    texts = value.split(",")
    if len(texts) > max_ids or not all(re.fullmatch("[1-9][0-9]{0,14}", text) for text in texts):
        raise ValueError(f"must be at most {max_ids} positive ids, separated by commas")
    return list(dict.fromkeys(map(int, texts)))


def id_list(max_ids: int) -> AfterValidator:
    """Return a validator for a text parameter that ``ids_in`` will read."""

    def check(value: str) -> str:
        ids_in(value, max_ids)
        return value

    return AfterValidator(check)
