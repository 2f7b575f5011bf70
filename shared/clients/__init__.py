"""Clients of Postgres, Redis, Pub/Sub and file stores. They know no tables, keys or messages.

May import ``shared.settings``, ``shared.errors`` and ``shared.telemetry`` only. A module that keeps a client, here or
elsewhere, registers the function that closes it with ``closed_on_reset``; ``reset`` then closes all of them.
"""

from collections.abc import Callable
from typing import TypeVar

Close = TypeVar("Close", bound=Callable[[], None])
_registered: list[Callable[[], None]] = []


def closed_on_reset(close: Close) -> Close:
    """Register a function that closes a client and forgets it; a decorator that returns the function unchanged."""
    _registered.append(close)
    return close


def reset() -> None:
    """Close every client of this process and forget its cached settings: for tests, and after a fork.

    The last registered is closed first: a module that uses a client imports it, and so registers after it.
    """
    for close in reversed(_registered):
        close()
    from shared.settings import settings

    settings.cache_clear()
