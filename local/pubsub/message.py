"""A published message and its delivery to one subscription."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any


class Message:
    """One message as published.

    ``references`` counts the subscriptions that still keep it; at 0 it can be deleted. ``published_ms`` is the
    publish time in milliseconds since the epoch, the precision in which Pub/Sub shows it.
    """

    __slots__ = ("id", "pb", "published_ms", "references", "size")

    def __init__(self, id_: int, pb: Any, published_ms: int) -> None:
        self.id = id_
        self.pb = pb
        self.published_ms = published_ms
        self.size: int = pb.ByteSize()
        self.references = 0

    @property
    def publish_time(self) -> str:
        """The publish time as RFC 3339 text."""
        seconds, milliseconds = divmod(self.published_ms, 1000)
        return f"{_to_the_second(seconds)}.{milliseconds:03}Z"


class Delivery:
    """A message on its way through one subscription.

    ``lease`` is the number of its latest lease, 0 before the first; ``leased`` says whether that lease still holds.
    ``attempts`` counts failed deliveries: nacked, or not acknowledged in time.
    """

    __slots__ = ("attempts", "done", "holder", "lease", "leased", "message")

    def __init__(self, message: Message, attempts: int = 0) -> None:
        self.message = message
        self.attempts = attempts
        self.lease = 0
        self.leased = False
        self.done = False
        self.holder: Any = None


@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
