"""Detection of silently lost connections, by asking the server about their backend processes.

After a short network outage, statements or their results may be lost, and each such connection keeps its place in the
pool until the socket's deadline. When requests wait for a connection, a separate connection asks the server about those
that have waited for a long time: one whose server process is gone, or itself waits for the client, will never answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from shared.clients import postgres_wire

log = logging.getLogger(__name__)

# Seconds after which a waiting connection is checked.
SILENT_S: Final = 3.0
# The sessions that are working, or have just changed state, so that a request or its result may be in transit. A role
# sees the state of its own sessions only.
WORKING: Final = """
SELECT pid FROM pg_stat_activity
WHERE (state = 'active' AND wait_event_type IS DISTINCT FROM 'Client')
   OR state_change > clock_timestamp() - interval '1 second'"""


class LostConnections:
    """Ends waits on lost connections, in a background thread, one search at a time."""

    def __init__(self, opened: Callable[[], Iterable[Any]], connect: Callable[[], Any]) -> None:
        self._opened, self._connect = opened, connect
        self._searching = threading.Lock()

    def search(self) -> None:
        """Start a background search unless one is running or no connection has waited for longer than SILENT_S."""
        if self._silent() and self._searching.acquire(blocking=False):
            threading.Thread(target=self._search, name="lost-connections", daemon=True).start()

    def _silent(self) -> dict[int, tuple[Any, float]]:
        """Return, by server process id, the connections that have waited for longer than SILENT_S, and since when."""
        limit = time.monotonic() - SILENT_S
        silent = {}
        for connection in self._opened():
            since = postgres_wire.silent_since(connection)
            pid = postgres_wire.backend_pid(connection)
            if since is not None and pid is not None and since < limit:
                silent[pid] = (connection, since)
        return silent

    def _search(self) -> None:
        try:
            silent = self._silent()
            if not silent:
                return
            working = self._working()
            if working is None:
                return
            lost = [
                connection
                for pid, (connection, since) in silent.items()
                if pid not in working and postgres_wire.silent_since(connection) == since
            ]
            for connection in lost:
                postgres_wire.interrupt(connection)
            if lost:
                log.warning("lost connections dropped", extra={"connections": len(lost)})
        except Exception as error:  # noqa: BLE001 — the server does not answer either; the deadline ends the waits
            log.info("lost connections not searched", extra={"error": str(error)[:200]})
        finally:
            self._searching.release()

    def _working(self) -> set[int] | None:
        """Return the ids of the server processes that are working; None behind a pooler, whose ids are meaningless."""
        connection = self._connect()
        try:
            if connection.execute_simple("SELECT pg_backend_pid()").rows != [[postgres_wire.backend_pid(connection)]]:
                return None
            return {int(row[0]) for row in connection.execute_simple(WORKING).rows}
        finally:
            postgres_wire.drop(connection)
