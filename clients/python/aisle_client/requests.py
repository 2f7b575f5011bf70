"""Requests: how they are written, when they are repeated, and what an answer means."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx

from aisle_client.problems import NoAnswer, Problem

REPEATABLE_METHODS: Final = ("GET", "HEAD", "PUT", "DELETE")
# the server refused the request before it read it
TOO_MANY_REQUESTS: Final = 429
# a service was unavailable, or a proxy lost the answer: the request may have taken effect
UNCERTAIN: Final = (502, 503, 504)
# seconds before the second attempt; doubled for each further one, and cut
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 20.0

Value = str | int | float | bool | Sequence[str | int | float] | None


@dataclass(frozen=True)
class Request:
    """A request without the address and credentials of the client.

    content : the media type and bytes of a body that is no JSON.
    key : the Idempotency-Key, which makes a POST safe to repeat.
    """

    method: str
    path: str
    body: Any = None
    content: tuple[str, bytes] | None = None
    key: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent again although an earlier attempt may have taken effect."""
        return self.method in REPEATABLE_METHODS or self.key is not None

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to the request."""
        headers = {} if self.content is None else {"Content-Type": self.content[0]}
        return headers if self.key is None else headers | {"Idempotency-Key": self.key}


def request(
    method: str,
    path: str | tuple[str, Mapping[str, str | int]],
    *,
    query: Mapping[str, Value] | None = None,
    body: Any = None,
    content: tuple[str, bytes] | None = None,
    key: str | None = None,
    takes_key: bool = False,
) -> Request:
    """Return a request. Parameters of the query that are None are left out, and lists are repeated parameters.

    A request that takes an Idempotency-Key gets one, unless the caller gives it. Raises ValueError for a parameter of
    the path that is empty, "." or "..": the request would reach another operation, such as one that empties the cart.
    """
    address = (
        path if isinstance(path, str) else path[0].format_map({n: quote(str(v), safe="") for n, v in path[1].items()})
    )
    if not {"", ".", ".."}.isdisjoint(address.split("/")[1:]):
        raise ValueError(f'a parameter of {path[0]} is empty, "." or ".."')
    named = [
        (name, _text(value))
        for name, values in (query or {}).items()
        if values is not None
        for value in (values if isinstance(values, Sequence) and not isinstance(values, str) else [values])
    ]
    return Request(
        method,
        f"{address}?{urlencode(named)}" if named else address,
        body,
        content,
        (key or str(uuid4())) if takes_key else None,
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Attempts:
    """How often a request is sent.

    most : attempts, the first one included.
    """

    most: int = 4

    def pause_s(self, sent: Request, attempt: int, outcome: httpx.Response | httpx.RequestError) -> float | None:
        """Return the seconds until the next attempt, None if there is none. ``attempt`` counts from 1."""
        if attempt >= self.most or not _may_repeat(sent, outcome):
            return None
        wanted = retry_after_s(outcome) if isinstance(outcome, httpx.Response) else None
        if wanted is not None and wanted > LONGEST_PAUSE_S:
            return None
        # no two clients that failed together return together
        own = min(FIRST_PAUSE_S * 2.0 ** (attempt - 1), LONGEST_PAUSE_S) * (0.5 + random.random() / 2)  # noqa: S311 — no secret
        return max(own, wanted or 0.0)


def _may_repeat(sent: Request, outcome: httpx.Response | httpx.RequestError) -> bool:
    if isinstance(outcome, httpx.RequestError):
        # a connection that was never made has brought no request
        return sent.repeatable or isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return outcome.status_code == TOO_MANY_REQUESTS or (outcome.status_code in UNCERTAIN and sent.repeatable)


def retry_after_s(answer: httpx.Response) -> float | None:
    """Return the seconds of ``Retry-After``, which may also be a date; None without it."""
    text: str = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        left_s: float = (at - datetime.now(UTC)).total_seconds()
        return max(0.0, left_s)
    except (TypeError, ValueError):
        return None


def content_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer, None if it is empty. Raise Problem for an error, NoAnswer for anything but JSON."""
    if answer.is_success:
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            # such as the login page of a proxy
            raise NoAnswer(f"{answer.request.method} {answer.request.url.path}: the answer is not JSON") from error
    try:
        document = answer.json()
    except ValueError:
        document = {}
    raise Problem(
        answer.status_code,
        document if isinstance(document, dict) else {},
        answer.headers.get("x-request-id", ""),
        retry_after_s(answer),
    )


def lost(sent: Request, error: httpx.RequestError) -> NoAnswer:
    """Return the error for a request without an answer."""
    return NoAnswer(f"{sent.method} {sent.path.partition('?')[0]}: {error or type(error).__name__}")


class Sender(ABC):
    """What the operations of a synchronous client need."""

    @abstractmethod
    def send(self, sent: Request) -> Any:
        """Send a request, and return the JSON of its answer."""


class AsyncSender(ABC):
    """What the operations of an asynchronous client need."""

    @abstractmethod
    async def send(self, sent: Request) -> Any:
        """Send a request, and return the JSON of its answer."""
