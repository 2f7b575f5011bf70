"""What every HTTP function has in common: one application factory, one edge, one problem shape."""

from shared.http.answers import Answer, cached, fresh
from shared.http.api import api
from shared.http.parameters import K, Query, UserQuery
from shared.http.serve import serve

__all__ = ["Answer", "K", "Query", "UserQuery", "api", "cached", "fresh", "serve"]
