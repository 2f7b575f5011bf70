"""Admission control: a bounded number of calls of one kind at a time; the others are refused at once with 503.

Without a bound, expensive calls queue behind threads and database connections until their clients have given up, and
cheap requests wait with them.
"""

import threading
from typing import Final

from shared.errors import Unavailable


class Gate:
    """Lets at most ``most`` calls be running or waiting in this process. A context manager, for threads and tasks."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most
        self.admitted = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Admit a call. Raises Unavailable, with Retry-After, if ``most`` calls are admitted already."""
        with self._lock:
            if self.admitted >= self.most:
                raise Unavailable(f"Too many requests that need {self.name} at the same time; try again in a second.")
            self.admitted += 1

    def __exit__(self, *_error: object) -> None:
        """Release the call's place."""
        with self._lock:
            self.admitted -= 1


# Searches and other computed answers. At five database connections and 50 ms each, the last of 32 waits 0.3 s; threads
# of the pool (40) stay free for cheap requests.
COMPUTING: Final = Gate("computing", 32)
# Four hash at a time (shared/passwords.py), 50 to 100 ms each: the last of 20 waits less than a second.
HASHING: Final = Gate("password hashing", 20)
# Messages that are sent or wait for one of the threads of shared/mail/sending.py.
MAILING: Final = Gate("mail", 32)
# bodies above LARGE_BYTES that are parsed and checked in threads
LARGE_BODIES: Final = Gate("checks of large bodies", 4)
