"""How often Redis had the answer: counted in memory, and said in one log line a minute for monitoring to count.

A line for each request would cost more than the answer.
"""

import logging
import time
from typing import Final

log = logging.getLogger(__name__)

PERIOD_S: Final = 60.0
_counts = {"hits": 0, "misses": 0}
_since = time.monotonic()


def count(hit: bool) -> None:
    """Count one look-up; called on the event loop, so never twice at once."""
    global _since
    _counts["hits" if hit else "misses"] += 1
    now = time.monotonic()
    if now - _since >= PERIOD_S:
        log.info("cache", extra=dict(_counts))
        _counts.update(hits=0, misses=0)
        _since = now
