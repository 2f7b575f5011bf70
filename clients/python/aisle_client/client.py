"""The two clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from aisle_client.operations import AsyncOperations, Operations
from aisle_client.requests import Attempts, Request, content_of, lost

TIMEOUT_S: Final = 10.0


def _headers(api_key: str | None, token: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "aisle-client-python"}
    if api_key is not None:
        headers["X-API-Key"] = api_key
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _arguments(sent: Request) -> dict[str, Any]:
    body: Mapping[str, Any] = {} if sent.body is None else {"json": sent.body}
    return {"headers": sent.headers(), **body, **({} if sent.content is None else {"content": sent.content[1]})}


class Aisle(Operations):
    """The API, for code that waits for each answer. Threads may share one; use it as a context manager, or close it.

    url : the shop's base URL.
    api_key : ``sk_…`` on the shop's server.
    token : the access token of a guest, an account or a member of staff.
    timeout_s : the seconds that an attempt may take.
    attempts : how often a request is sent that may be repeated.
    transport : of httpx, for tests.

    Every operation raises Problem for an error, and NoAnswer if there is no answer after all attempts.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        attempts: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.attempts = Attempts(attempts)
        self.http = httpx.Client(base_url=url, headers=_headers(api_key, token), timeout=timeout_s, transport=transport)

    def send(self, sent: Request) -> Any:
        """Send a request, and return the JSON of its answer; None if it has none."""
        attempt = 1
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self.http.request(sent.method, sent.path, **_arguments(sent))
            except httpx.RequestError as error:
                outcome = error
            pause_s = self.attempts.pause_s(sent, attempt, outcome)
            if pause_s is None:
                if isinstance(outcome, httpx.RequestError):
                    raise lost(sent, outcome) from outcome
                return content_of(outcome)
            time.sleep(pause_s)
            attempt += 1

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncAisle(AsyncOperations):
    """The API for asyncio, with the parameters of ``Aisle``."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        attempts: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.attempts = Attempts(attempts)
        self.http = httpx.AsyncClient(
            base_url=url, headers=_headers(api_key, token), timeout=timeout_s, transport=transport
        )

    async def send(self, sent: Request) -> Any:
        """Send a request, and return the JSON of its answer; None if it has none."""
        attempt = 1
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = await self.http.request(sent.method, sent.path, **_arguments(sent))
            except httpx.RequestError as error:
                outcome = error
            pause_s = self.attempts.pause_s(sent, attempt, outcome)
            if pause_s is None:
                if isinstance(outcome, httpx.RequestError):
                    raise lost(sent, outcome) from outcome
                return content_of(outcome)
            await asyncio.sleep(pause_s)
            attempt += 1

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
