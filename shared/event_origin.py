"""The sender of the current request's events, which limits how much they count (``shared/domain/counting.py``).

The edge records the sender; code that publishes events during the request, directly or by the outbox, reads the origin.
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
    """The information in a message about the sender of its events.

    vouched : whether they count in full, being from the shop's server with a secret key or from our own checkout.
    client : keyed hash that identifies the sender for today; None if the sender is unknown.
    crawler : whether the sender identifies itself as a crawler.
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
    """Set the sender of the request handled inside the block; ``network`` is its address prefix."""
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
        # The address of the shop's server says nothing about its visitors.
        return VOUCHED
    client = client_key(sender.network, sender.user_agent, datetime.now(UTC).date())
    return Origin(client=client, crawler=is_crawler(sender.user_agent))


def client_key(network: str, user_agent: str, day: date) -> str:
    """Return a client's identifier for a day: a keyed hash of its address prefix and user agent group.

    The key changes daily, and without it the address cannot be recovered from the hash.
    """
    group = int.from_bytes(sha256(user_agent.encode("utf-8", "replace")).digest()[:4]) % AGENT_GROUPS
    text = f"{group} {network}".encode("utf-8", "replace")
    return hmac.new(_daily_key(day), text, sha256).hexdigest()[:_CLIENT_CHARACTERS]


@lru_cache(maxsize=2)
def _daily_key(day: date) -> bytes:
    # Without API_MAC_KEYS, each process has its own key and limits clients independently.
    keys = settings().mac_keys
    return hmac.new(keys[0] if keys else secrets.token_bytes(), f"client of events {day}".encode(), sha256).digest()


@closed_on_reset
def close() -> None:
    """Forget the daily keys: the settings may have changed."""
    _daily_key.cache_clear()
