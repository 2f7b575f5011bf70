"""Admission control: a limited number of concurrent calls of one kind; further ones are refused at once.

Without a limit, expensive calls queue for threads and database connections until their clients have given up, and cheap
requests wait with them.
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

# The client of the current request. None means no limit per client: for jobs, and the shop's own server, which acts for
# many people.
_client: ContextVar[str | None] = ContextVar("client", default=None)


@contextmanager
def acting_for(client: str | None) -> Iterator[None]:
    """Set the client of the request handled inside the block; None for no limit per client."""
    token = _client.set(client)
    try:
        yield
    finally:
        _client.reset(token)


def current_client() -> str | None:
    """Return the client of the request being handled; None for no limit per client."""
    return _client.get()


class Gate:
    """Admits at most ``most`` calls at a time in this process, running or waiting, and at most ``share`` per client.

    Without the share, one client with enough connections could hold every slot, and all others would be refused.
    """

    def __init__(self, name: str, most: int, share: int) -> None:
        self.name, self.most, self.share = name, most, share
        self.admitted = 0
        self._of_client: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a slot until the block ends, in any thread.

        Raises RateLimited if the request's client already holds its share, or Unavailable if no slot is free, both with
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
                    # A Counter keeps zero entries.
                    if not self._of_client[client]:
                        del self._of_client[client]


class Turns:
    """Lets at most ``most`` calls of one client run at a time in an event loop; its other calls wait for their turn.

    They wait before taking a thread and a database connection, which so stay free for other clients.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        # By client: the semaphore, and the number of running and waiting calls.
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[asyncio.Semaphore, int]]] = (
            WeakKeyDictionary()
        )

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait until fewer than ``most`` calls of the request's client run, and count as one until the block ends."""
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


# One client may hold a quarter of the slots: a burst of it then delays the others by about two of its calls.
# Searches and other computed answers. With five database connections and 50 ms each, the last of 32 waits 0.3 s; some
# of the pool's 40 threads stay free for cheap requests.
COMPUTING: Final = Gate("computing", 32, share=8)
# Out of five database connections.
COMPUTING_TURNS: Final = Turns(3)
# Four hash at a time (shared/passwords.py), 50 to 100 ms each: the last of 20 waits less than a second.
HASHING: Final = Gate("password hashing", 20, share=5)
# Messages being sent or waiting for one of the threads of shared/mail/sending.py.
MAILING: Final = Gate("mail", 32, share=8)
# Bodies above LARGE_BYTES, which are parsed and checked in threads.
LARGE_BODIES: Final = Gate("checks of large bodies", 4, share=2)
