"""Limits the bytes of answers that one client may cause to be stored in Redis, so that it cannot evict all others.

Each process counts separately. An answer beyond the budget is sent but not stored.
"""

import time
from typing import Final

from shared.clients import closed_on_reset
from shared.gates import current_client

WINDOW_S: Final = 300
# About 1,500 answers of ten products, or 15 for each of a hundred people behind one address.
MAX_BYTES: Final = 16_777_216


class ClientBudget:
    """Counts the stored bytes of each client in windows of WINDOW_S, about as long as an answer lives."""

    def __init__(self) -> None:
        self.window = 0
        self.stored: dict[str, int] = {}

    def take(self, size: int) -> bool:
        """Count ``size`` bytes for the client of the request; return False, and count nothing, beyond MAX_BYTES."""
        client = current_client()
        if client is None:
            return True
        window = int(time.time()) // WINDOW_S
        if window != self.window:
            self.window = window
            self.stored.clear()
        stored = self.stored.get(client, 0) + size
        if stored > MAX_BYTES:
            return False
        self.stored[client] = stored
        return True


BUDGET: Final = ClientBudget()


@closed_on_reset
def forget() -> None:
    """Reset the counts, which belong to the previous cache."""
    BUDGET.stored.clear()
