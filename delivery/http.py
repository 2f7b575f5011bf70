"""The HTTP client of delivery, the local system and the benchmarks.

It needs nothing but the standard library, so an operator can deliver without installing packages.
"""

import json
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class NoAnswer(OSError):
    """The server sent no complete HTTP answer; the text says why."""


class Answer(NamedTuple):
    """A status and a body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the parsed body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)

    def text(self, limit: int = 2000) -> str:
        """Return at most ``limit`` characters of the body, for a message."""
        return self.body.decode(errors="replace")[:limit]


def get(url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float | None = 10) -> Answer:
    """Send a GET request; see ``send``."""
    return send(Request(url, headers=dict(headers or {})), timeout_s)


def post(url: str, content: Any, *, headers: Mapping[str, str] | None = None, timeout_s: float | None = 10) -> Answer:
    """Send a POST request with ``content`` as JSON; see ``send``."""
    fields = {"Content-Type": "application/json", **(headers or {})}
    return send(Request(url, json.dumps(content).encode(), fields), timeout_s)


def send(request: Request, timeout_s: float | None) -> Answer:
    """Return the answer, whatever its status.

    Raises NoAnswer when none comes within ``timeout_s`` (None: no limit), ValueError for a URL that is not HTTP.
    """
    if request.type not in ("http", "https"):
        raise ValueError(f"{request.full_url!r} is not an http or https URL")
    try:
        # a proxy of the environment is for the network, not for this machine
        with _opener(proxies=urlsplit(request.full_url).hostname not in LOOPBACK).open(
            request, timeout=timeout_s
        ) as response:
            return Answer(response.status, response.read())
    except HTTPError as error:
        with error:
            return _read(error)
    except URLError as error:
        raise NoAnswer(str(error.reason)) from None
    except (OSError, HTTPException) as error:
        raise NoAnswer(str(error) or type(error).__name__) from None


def _read(error: HTTPError) -> Answer:
    try:
        return Answer(error.code, error.read())
    except (OSError, HTTPException):
        return Answer(error.code, b"")


@cache
def _opener(*, proxies: bool) -> OpenerDirector:
    return build_opener() if proxies else build_opener(ProxyHandler({}))
