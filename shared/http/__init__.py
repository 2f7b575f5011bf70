"""What every HTTP function has in common: one application factory, one edge, one problem shape."""

from shared.http.answers import cached, fresh
from shared.http.api import api
from shared.http.parameters import IdempotencyKey, K, Page, PageQuery, Query, RequiredIdempotencyKey, UserQuery
from shared.http.serve import serve

__all__ = [
    "IdempotencyKey",
    "K",
    "Page",
    "PageQuery",
    "Query",
    "RequiredIdempotencyKey",
    "UserQuery",
    "api",
    "cached",
    "fresh",
    "serve",
]
