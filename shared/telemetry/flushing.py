"""A flush with an upper limit on the wait for it, which OpenTelemetry's SDK does not have."""

import threading
from collections.abc import Callable


class Flusher:
    """Runs one flush at a time, in a thread. A flush serves all callers that came before it began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_running = False
        # set when the flush that begins next has ended
        self._next: threading.Event | None = None

    def flush(self, work: Callable[[], object], timeout_s: float) -> bool:
        """Wait for a run of ``work`` that begins after this call; return whether it ended within ``timeout_s``."""
        with self._lock:
            ended = self._next = self._next or threading.Event()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, args=[work], name="flush-spans", daemon=True).start()
        return ended.wait(timeout_s)

    def _run(self, work: Callable[[], object]) -> None:
        while True:
            with self._lock:
                ended, self._next = self._next, None
                if ended is None:
                    self._is_running = False
                    return
            try:
                work()
            finally:
                ended.set()
