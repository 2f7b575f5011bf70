"""The credentials that a dependency accepts, as shown in the OpenAPI description of its routes.

OpenAPI's ``security`` is a list of choices; the empty one means that no credential is needed.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

Choice = dict[str, list[str]]
D = TypeVar("D", bound=Callable[..., Any])

NOTHING: Final[Choice] = {}
TOKEN: Final[Choice] = {"token": []}
KEY: Final[Choice] = {"key": []}
ADMIN: Final[Choice] = {"admin": []}

_CHOICES: Final = "aisle_security"


def accepts(*choices: Choice) -> Callable[[D], D]:
    """Return a decorator for a dependency that admits a request with any one of these choices of credentials.

    If a route has several such dependencies, the outermost counts. Without any, FastAPI's own list remains: every
    scheme that some dependency reads, as alternatives.
    """

    def mark(dependency: D) -> D:
        setattr(dependency, _CHOICES, list(choices))
        return dependency

    return mark


def accepted_by(dependency: Callable[..., Any] | None) -> list[Choice] | None:
    """Return the choices of a dependency; None if it has none."""
    choices: list[Choice] | None = getattr(dependency, _CHOICES, None)
    return choices
