"""A flush with an upper limit on the wait for it, which OpenTelemetry's SDK does not have."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Flusher:
    """Runs one flush of a signal (spans or metrics) at a time, in a thread. A flush serves all callers before it.

    After one that took too long, only the caller that begins the next one waits: a receiver that does not answer would
    otherwise hold every thread that serves requests.
    """

    def __init__(self, signal: str) -> None:
        self._signal = signal
        self._lock = threading.Lock()
        self._is_running = False
        self._is_slow = False
        # set when the flush that begins next has ended
        self._next: threading.Event | None = None

    def flush(self, work: Callable[[], object], timeout_s: float) -> bool:
        """Wait for a run of ``work`` that begins after this call; return whether it ended within ``timeout_s``."""
        with self._lock:
            if self._is_running and self._is_slow:
                return False
            ended = self._next = self._next or threading.Event()
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, args=[work], name=f"flush-{self._signal}", daemon=True).start()
        is_in_time = ended.wait(timeout_s)
        with self._lock:
            self._is_slow = not is_in_time
        return is_in_time

    def _run(self, work: Callable[[], object]) -> None:
        while True:
            with self._lock:
                ended, self._next = self._next, None
                if ended is None:
                    self._is_running = False
                    return
            try:
                work()
            except Exception as error:  # noqa: BLE001 — callers wait for the end of the run, however it ends
                log.warning("telemetry not sent", extra={"signal": self._signal, "error": type(error).__name__})
            finally:
                ended.set()
