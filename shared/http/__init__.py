"""What every HTTP function shares: one application factory, one edge, one shape of problems."""

from shared.http.answers import fresh, private
from shared.http.api import api
from shared.http.parameters import K, Query, UserQuery
from shared.http.serve import serve
from shared.storage.answers.shared_answers import cached

__all__ = ["K", "Query", "UserQuery", "api", "cached", "fresh", "private", "serve"]
