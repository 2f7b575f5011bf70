"""Admission control: a bounded number of calls of one kind at a time; the others are refused at once.

Without a bound, expensive calls queue behind threads and database connections until their clients have given up, and
cheap requests wait with them.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final
from weakref import WeakKeyDictionary

from shared.errors import RateLimited, Unavailable

# The client of the current request. None bounds no client: jobs, and the shop's own server, which acts for many people.
_client: ContextVar[str | None] = ContextVar("client", default=None)


@contextmanager
def acting_for(client: str | None) -> Iterator[None]:
    """Note the client of the request that is handled inside the block; None for one without a share of its own."""
    token = _client.set(client)
    try:
        yield
    finally:
        _client.reset(token)


def current_client() -> str | None:
    """Return the client of the request that is being handled; None for one without a share of its own."""
    return _client.get()


class Gate:
    """Admits at most ``most`` calls at a time in this process, running or waiting, and ``share`` of them for a client.

    Without the share, a client with enough connections would hold every place, and all others would be refused.
    """

    def __init__(self, name: str, most: int, share: int) -> None:
        self.name, self.most, self.share = name, most, share
        self.admitted = 0
        self._of_client: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place until the block ends, in whatever thread that is.

        Raises RateLimited if the client of the request holds its share, Unavailable if no place is free, both with
        Retry-After.
        """
        client = _client.get()
        with self._lock:
            if client is not None and self._of_client[client] >= self.share:
                raise RateLimited(
                    f"This client has too many simultaneous requests that need {self.name}: send the next one when one "
                    f"of the {self.share} running requests has been answered.",
                    headers={"Retry-After": "1"},
                )
            if self.admitted >= self.most:
                raise Unavailable(f"Too many simultaneous requests need {self.name}; try again in a second.")
            self.admitted += 1
            if client is not None:
                self._of_client[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self.admitted -= 1
                if client is not None:
                    self._of_client[client] -= 1
                    # a counter keeps what is zero
                    if not self._of_client[client]:
                        del self._of_client[client]


class Turns:
    """Lets at most ``most`` calls of one client run at a time in an event loop; its others wait for their turn.

    They wait before they take a thread and a database connection, so that these stay free for other clients.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        # by client: who runs or waits, and how many that are
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[asyncio.Semaphore, int]]] = (
            WeakKeyDictionary()
        )

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait until fewer than ``most`` calls of the request's client run, and be one of them until the block ends."""
        client = _client.get()
        if client is None:
            yield
            return
        clients = self._loops.setdefault(asyncio.get_running_loop(), {})
        turns, number = clients.get(client, (asyncio.Semaphore(self.most), 0))
        clients[client] = (turns, number + 1)
        try:
            async with turns:
                yield
        finally:
            number = clients[client][1] - 1
            if number:
                clients[client] = (turns, number)
            else:
                del clients[client]


# A quarter of the places for one client: what it sends at once then delays the others by about two of its calls.
# Searches and other computed answers. At five database connections and 50 ms each, the last of 32 waits 0.3 s; threads
# of the pool (40) stay free for cheap requests.
COMPUTING: Final = Gate("computing", 32, share=8)
# of the five database connections
COMPUTING_TURNS: Final = Turns(3)
# Four hash at a time (shared/passwords.py), 50 to 100 ms each: the last of 20 waits less than a second.
HASHING: Final = Gate("password hashing", 20, share=5)
# Messages that are sent or wait for one of the threads of shared/mail/sending.py.
MAILING: Final = Gate("mail", 32, share=8)
# bodies above LARGE_BYTES that are parsed and checked in threads
LARGE_BODIES: Final = Gate("checks of large bodies", 4, share=2)
