"""Which credentials an operation takes, for its description: as the dependency decides that lets a request in.

OpenAPI's ``security`` is a list of choices; the empty one means that no credential is needed.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant

from shared.http.routes import all_routes

Choice = dict[str, list[str]]
D = TypeVar("D", bound=Callable[..., Any])

NOTHING: Final[Choice] = {}
TOKEN: Final[Choice] = {"token": []}
KEY: Final[Choice] = {"key": []}
ADMIN: Final[Choice] = {"admin": []}

_CHOICES: Final = "aisle_security"


def accepts(*choices: Choice) -> Callable[[D], D]:
    """Return a decorator for a dependency that lets a request in with one of these choices of credentials.

    Of several such dependencies of a route the outermost counts. Without any, FastAPI's own list remains: every scheme
    that some dependency reads, as an alternative to the others.
    """

    def mark(dependency: D) -> D:
        setattr(dependency, _CHOICES, list(choices))
        return dependency

    return mark


def describe(app: FastAPI, document: dict[str, Any]) -> None:
    """Write into the description which credentials each route takes."""
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
        choices = getattr(dependant.call, _CHOICES, None)
        if choices is not None:
            yield choices
