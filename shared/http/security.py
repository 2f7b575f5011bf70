"""The credentials that each operation accepts, for its OpenAPI description. The dependencies enforce them."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant

from shared.accepted_credentials import Choice, accepted_by
from shared.http.routes import all_routes


def describe(app: FastAPI, document: dict[str, Any]) -> None:
    """Add to the OpenAPI description which credentials each route accepts."""
    for path, route in all_routes(app):
        choices = next((found for level in _levels(route.dependant) for found in _marked(level)), None)
        if choices is None or not route.include_in_schema:
            continue
        for method in route.methods or ():
            document["paths"][path][method.lower()]["security"] = [dict(choice) for choice in choices]


def _levels(dependant: Dependant) -> Iterator[list[Dependant]]:
    level = [dependant]
    while level:
        yield level
        level = [inner for outer in level for inner in outer.dependencies]


def _marked(level: list[Dependant]) -> Iterator[list[Choice]]:
    for dependant in level:
        choices = accepted_by(dependant.call)
        if choices is not None:
            yield choices
