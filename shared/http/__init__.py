"""What all HTTP functions share: the application factory, the edge layer and the format of error responses."""

from shared.http.answers import fresh, private
from shared.http.api import api
from shared.http.parameters import (
    Cursor,
    CursorPage,
    CursorPageQuery,
    IdempotencyKey,
    K,
    Page,
    PageQuery,
    Query,
    RequiredIdempotencyKey,
    UserQuery,
)
from shared.http.serve import serve
from shared.storage.answers.shared_answers import cached, computed

__all__ = [
    "Cursor",
    "CursorPage",
    "CursorPageQuery",
    "IdempotencyKey",
    "K",
    "Page",
    "PageQuery",
    "Query",
    "RequiredIdempotencyKey",
    "UserQuery",
    "api",
    "cached",
    "computed",
    "fresh",
    "private",
    "serve",
]
