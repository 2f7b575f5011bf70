"""The source of the figures, and their cache: ten open consoles cost one query."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from functions.admin.figures.cloud import CloudMonitoring
from functions.admin.figures.local import LocalTelemetry
from shared.clients import closed_on_reset
from shared.domain.operations import FIGURES, Figures, to_json
from shared.settings import settings

NO_SOURCE: Final = (
    "Nothing records this figure here. ./aisle up records it, unless OTEL_SDK_DISABLED or OTEL_EXPORTER_OTLP_ENDPOINT "
    "is set; in the cloud Cloud Monitoring does."
)


class Source(Protocol):
    """Gives the figures. What it cannot give is None in them, with the reason; it raises nothing."""

    name: str
    # seconds for which its figures are shown to everybody
    fresh_s: float

    def read(self) -> Figures:
        """Return the figures as they are now."""
        ...


class NoSource:
    """Of a process that neither runs in the cloud nor is part of ``./aisle up``."""

    name = "none"
    fresh_s = 60.0

    def read(self) -> Figures:
        """Return no figure."""
        return Figures(unavailable=dict.fromkeys(FIGURES, NO_SOURCE))


def source() -> Source:
    """Return the source of this deployment."""
    config = settings()
    if config.operations_url is not None:
        return LocalTelemetry(config.operations_url)
    if config.google_cloud_project and (config.environment != "local" or config.google_rest_emulator_host):
        return CloudMonitoring(config.google_cloud_project)
    return NoSource()


class Shared:
    """The last answer of the source, and the one thread that asks for the next; the others wait for its answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Forget the answer."""
        self._until = float("-inf")
        self._answer: dict[str, Any] = {}

    def answer(self, find: Callable[[], Source] = source) -> dict[str, Any]:
        """Return the figures as JSON values, at most ``fresh_s`` old."""
        with self._lock:
            if self._clock() >= self._until:
                found = find()
                self._answer = {"source": found.name} | to_json(found.read())
                # from the end of the query on: a slow source is not asked again at once
                self._until = self._clock() + found.fresh_s
            return self._answer


shared: Final = Shared()
closed_on_reset(shared.forget)
