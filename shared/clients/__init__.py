"""Clients for Postgres, Redis, Pub/Sub and file stores, independent of any table, key or message.

May import ``shared.settings``, ``shared.errors`` and ``shared.telemetry`` only. A module that keeps a client, here or
elsewhere, registers the function that closes it with ``closed_on_reset``; ``reset`` then closes all of them.
"""

from collections.abc import Callable
from typing import TypeVar

Close = TypeVar("Close", bound=Callable[[], None])
_registered: list[Callable[[], None]] = []


def closed_on_reset(close: Close) -> Close:
    """Decorator: register a function that closes a client and forgets it. Returns the function unchanged."""
    _registered.append(close)
    return close


def reset() -> None:
    """Close every client of this process and forget its cached settings: for tests, and after a fork.

    Clients are closed in reverse order of registration: a module that uses a client imports it first, and so registers
    after it.
    """
    for close in reversed(_registered):
        close()
    from shared.settings import settings

    settings.cache_clear()
