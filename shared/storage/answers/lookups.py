"""Cache hits and misses in Redis, counted in memory and logged once a minute for monitoring.

A log line per request would cost more than serving the answer.
"""

import logging
import time
from typing import Final

log = logging.getLogger(__name__)

PERIOD_S: Final = 60.0
_counts = {"hits": 0, "misses": 0}
_since = time.monotonic()


def count(hit: bool) -> None:
    """Count one lookup. Not thread-safe: call it only on the event loop."""
    global _since
    _counts["hits" if hit else "misses"] += 1
    now = time.monotonic()
    if now - _since >= PERIOD_S:
        log.info("cache", extra=dict(_counts))
        _counts.update(hits=0, misses=0)
        _since = now
