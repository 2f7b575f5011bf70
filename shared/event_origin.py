"""Who sends the events of the current request: what bounds how much they count (``shared/domain/counting.py``).

The edge notes the sender; whatever publishes events in the request, at once or through the outbox, reads the origin.
"""

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from shared.clients import closed_on_reset
from shared.domain.counting import AGENT_GROUPS, is_crawler
from shared.settings import settings

_CLIENT_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class Origin:
    """What a message says about the sender of its events.

    vouched : whether they count in full: from the shop's server with a secret key, or from our own checkout.
    client : keyed hash that stands for the sender today, None if the sender is unknown.
    crawler : whether the sender calls itself a crawler.
    """

    vouched: bool = False
    client: str | None = None
    crawler: bool = False


VOUCHED: Final = Origin(vouched=True)


class _Sender(NamedTuple):
    network: str
    user_agent: str
    vouched: bool


_sender: ContextVar[_Sender | None] = ContextVar("sender", default=None)


@contextmanager
def sent_by(network: str, user_agent: str, *, vouched: bool) -> Iterator[None]:
    """Note the sender of the request that is handled inside the block; ``network`` is its address prefix."""
    token = _sender.set(_Sender(network, user_agent, vouched))
    try:
        yield
    finally:
        _sender.reset(token)


def current() -> Origin:
    """Return the origin of events of the current request; unvouched and without a client outside any request."""
    sender = _sender.get()
    if sender is None:
        return Origin()
    if sender.vouched:
        # the client of the shop's server says nothing about its visitors
        return VOUCHED
    client = client_key(sender.network, sender.user_agent, datetime.now(UTC).date())
    return Origin(client=client, crawler=is_crawler(sender.user_agent))


def client_key(network: str, user_agent: str, day: date) -> str:
    """Return what stands for a client on a day: a hash of its address prefix and the group of its user agent.

    The key of the hash changes daily, and the address cannot be computed from the hash without it.
    """
    group = int.from_bytes(sha256(user_agent.encode("utf-8", "replace")).digest()[:4]) % AGENT_GROUPS
    text = f"{group} {network}".encode("utf-8", "replace")
    return hmac.new(_daily_key(day), text, sha256).hexdigest()[:_CLIENT_CHARACTERS]


@lru_cache(maxsize=2)
def _daily_key(day: date) -> bytes:
    # without API_MAC_KEYS each process has a key of its own, and bounds clients by itself
    keys = settings().mac_keys
    return hmac.new(keys[0] if keys else secrets.token_bytes(), f"client of events {day}".encode(), sha256).digest()


@closed_on_reset
def close() -> None:
    """Forget the daily keys: the settings may have changed."""
    _daily_key.cache_clear()
