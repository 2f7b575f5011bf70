"""Background retries of work that failed while a service was unavailable, until nothing is left."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Retry:
    """Runs ``work`` every ``pause_s`` seconds in a thread that exists only while something is left to do."""

    def __init__(self, name: str, pause_s: float, work: Callable[[], bool]) -> None:
        """``work`` returns whether something is left. If it raises, the error is logged and it runs again."""
        self.name, self.pause_s = name, pause_s
        self._work = work
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        # Whether something was added since ``work`` last started.
        self._is_due = False

    def start(self) -> None:
        """Schedule the work, first after a pause. Call it after each addition to the work."""
        with self._lock:
            self._is_due = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, args=[self._ended], name=self.name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread after its current run."""
        with self._lock:
            self._ended.set()
            # For the next thread, which may be started before this one has ended.
            self._ended = threading.Event()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(5)

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self.pause_s):
            with self._lock:
                self._is_due = False
            try:
                is_left = self._work()
            except Exception as error:  # noqa: BLE001 — the thread must live on for what can be done
                log.warning("retry failed", extra={"work": self.name, "error": type(error).__name__})
                is_left = True
            with self._lock:
                if ended.is_set():
                    return
                if not (is_left or self._is_due):
                    self._thread = None
                    return
