"""The routes of an application: their full paths, methods and parameters, and the rejection of undeclared input.

FastAPI keeps the routes of included routers separate.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.routing import compile_path

from shared.clients.bulkhead import serve_route
from shared.errors import InvalidRequest
from shared.http.bodies import METHODS
from shared.validation import MAX_ERRORS

# Bodies accepted by routes that take none.
EMPTY_BODIES: Final = (b"", b"{}")


def all_routes(app: FastAPI) -> Iterator[tuple[str, APIRoute]]:
    """Yield ``(path, route)`` for every API route of ``app``, including those of included routers."""
    yield from _routes(app.router.routes, "")


def _routes(routes: list[Any], prefix: str) -> Iterator[tuple[str, APIRoute]]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield prefix + route.path, route
        elif hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes, prefix + route.include_context.prefix)


# by the id of the route, which lives as long as the process; routes are not hashable
_paths: dict[int, str] = {}


def path_of(app: FastAPI, route: APIRoute) -> str:
    """Return a route's full path. FastAPI's own lacks the prefixes of the routers that include it."""
    if id(route) not in _paths:
        _paths.update((id(each), path) for path, each in all_routes(app))
    return _paths.get(id(route), route.path)


def query_names(route: APIRoute) -> frozenset[str]:
    """Return the names of the query parameters that a route and its dependencies declare."""
    return frozenset(_query_names(route.dependant))


def _query_names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (info.alias or name for name, info in model.model_fields.items())
        else:
            yield field.alias
    for dependency in dependant.dependencies:
        yield from _query_names(dependency)


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """Return every method that ``path`` accepts. HEAD is accepted wherever GET is."""
    methods = {
        method for pattern, route in all_routes(app) if _pattern(pattern).match(path) for method in route.methods or ()
    }
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


class _Declared:
    """What a route declares: its query parameters, unless its own model rejects others, and whether it takes a body."""

    def __init__(self, route: APIRoute) -> None:
        models = [field.field_info.annotation for field in _query_fields(route.dependant)]
        strict = any(
            isinstance(model, type) and issubclass(model, BaseModel) and model.model_config.get("extra") == "forbid"
            for model in models
        )
        self.names = None if strict else query_names(route)
        self.has_body = route.body_field is not None or "requestBody" in (route.openapi_extra or {})


def _query_fields(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for dependency in dependant.dependencies:
        yield from _query_fields(dependency)


# by the id of the route, which lives as long as the process; routes are not hashable
_declared: dict[int, _Declared] = {}


async def only_declared(request: Request) -> None:
    """Raise InvalidRequest for a query parameter that the route does not declare, or a body where it takes none.

    It also sets the route whose share of the process's database connections the request uses.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    request.scope["aisle.serving"] = serve_route(f"{route.endpoint.__module__}.{route.name}")
    declared = _declared.get(id(route))
    if declared is None:
        declared = _declared[id(route)] = _Declared(route)
    if declared.names is not None:
        unknown = [name for name in request.query_params if name not in declared.names]
        if unknown:
            errors = [
                {"field": name, "message": f"Unknown query parameter `{name}`.", "type": "extra_forbidden"}
                for name in unknown[:MAX_ERRORS]
            ]
            raise InvalidRequest(errors[0]["message"], errors=errors)
    if not declared.has_body and request.method in METHODS and (await request.body()).strip() not in EMPTY_BODIES:
        raise InvalidRequest("This route takes no body; leave it out.")
