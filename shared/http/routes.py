"""The routes of an application with their full paths. FastAPI keeps the routes of included routers apart."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel


def all_routes(app: FastAPI) -> Iterator[tuple[str, APIRoute]]:
    """Yield ``(path, route)`` of every API route of ``app``, those of included routers too."""
    yield from _routes(app.router.routes, "")


def _routes(routes: list[Any], prefix: str) -> Iterator[tuple[str, APIRoute]]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield prefix + route.path, route
        elif hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes, prefix + route.include_context.prefix)


def query_names(route: APIRoute) -> frozenset[str]:
    """Return the names of the query parameters that a route declares, those of its dependencies included."""
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
