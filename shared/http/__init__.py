"""What every HTTP function shares: one application factory, one edge, one shape of problems."""

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
