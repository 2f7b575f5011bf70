"""Reads a Medusa 2 server through its Admin and Store APIs; the reading of a long list can continue in a later run."""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

from shared.clients import sources
from shared.errors import InvalidRequest
from shared.tables.medusa import CATEGORY_FIELDS, category_paths

PAGE: Final = 50
# Transactions that were open when the newest change was read may commit older times: this much is read again.
OVERLAP: Final = timedelta(minutes=2)
# how many times a pass restarts because rows were deleted while it ran
MAX_RESTARTS: Final = 3
# objects per page of a short list
SHORT_PAGE: Final = 200


@dataclass
class Medusa:
    """A Medusa server. ``secret`` is one of its secret API keys; ``currency`` chooses the region of the prices."""

    url: str
    secret: str
    currency: str | None
    chosen: Mapping[str, str] = field(default_factory=dict)

    def get(self, path: str, *, is_store: bool = False, **query: Any) -> dict[str, Any]:
        """Return an answer of the Admin or Store API. Raises InvalidRequest, whose text never contains the secret."""
        parts = urlsplit(self.url)
        address = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + path, urlencode(query), ""))
        headers = {"x-publishable-api-key": self.publishable_key} if is_store else {}
        authorization = None if is_store else f"Basic {base64.b64encode(f'{self.secret}:'.encode()).decode()}"
        try:
            with sources.open_http(sources.checked(address), authorization, headers) as file:
                answer = orjson.loads(b"".join(sources.blocks(io.BufferedReader(file))))
        except (OSError, HTTPException, ValueError) as error:
            detail = str(error).replace(self.secret, "…")[:200] or type(error).__name__
            raise InvalidRequest(
                f"source: {path} of Medusa cannot be read: {detail}. The address must be that of the Medusa server, "
                "and the secret one of its secret API keys."
            ) from None
        if not isinstance(answer, dict):
            raise InvalidRequest(f"source: {path} is not an answer of Medusa's API.")
        return answer

    def all(self, path: str, name: str, *, is_store: bool = False, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the objects of a short list, page by page."""
        offset = 0
        while page := _objects(
            self.get(path, is_store=is_store, limit=SHORT_PAGE, offset=offset, order="id", **query).get(name)
        ):
            yield from page
            offset += len(page)

    @cached_property
    def publishable_key(self) -> str:
        """The oldest publishable API key of the chosen sales channel or, if none is chosen, of any channel."""
        wanted = self.chosen.get("sales_channel_id")
        for key in self.all("/admin/api-keys", "api_keys", type="publishable"):
            channels = {channel.get("id") for channel in _objects(key.get("sales_channels"))}
            if not key.get("revoked_at") and (wanted in channels if wanted else channels):
                return str(key["token"])
        raise InvalidRequest(
            "source: Medusa has no publishable API key with "
            + (f"the sales channel {wanted}." if wanted else "a sales channel; add one in its settings.")
        )

    @cached_property
    def region_id(self) -> str:
        """The region whose prices are used: the chosen one, or else the oldest with the shop's currency."""
        if wanted := self.chosen.get("region_id"):
            return wanted
        regions = list(self.all("/admin/regions", "regions", fields="id,currency_code"))
        for region in regions:
            if self.currency is None or str(region.get("currency_code")).upper() == self.currency:
                return str(region["id"])
        known = ", ".join(sorted({str(region.get("currency_code")).upper() for region in regions})) or "none"
        raise InvalidRequest(
            f"source: no region of Medusa has the shop's currency ({self.currency or 'not set'}); its regions have "
            f"{known}. Set the currency by PATCH /admin/shop, or add ?region_id=… to the feed's address."
        )

    @cached_property
    def categories(self) -> dict[str, list[str]]:
        """The path of names from the top to each category, by the category's id."""
        return category_paths(self.all("/admin/product-categories", "product_categories", fields=CATEGORY_FIELDS))


@dataclass
class Stream:
    """One of Medusa's lists, read page by page in the order of ids, starting where the cursor points.

    ``state`` is the cursor. It holds ``since``, the time from which changes are read (null: everything), and during a
    pass ``until``, ``offset`` and ``last_id``. ``seen`` is the time of the newest change of the last pass: once a
    further pass has found nothing newer, no page is read.
    """

    medusa: Medusa
    path: str
    name: str
    fields: str
    state: dict[str, Any]
    query: dict[str, str] = field(default_factory=dict)
    is_store: bool = False

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the remaining pages of a pass, or those of a new one; afterwards ``state`` is that of the next pass.

        ``state`` counts a page as done only when the next one is requested.
        """
        if "offset" not in self.state:
            newest = self._get(1, 0, "-updated_at", "id,updated_at")
            until = newest[0].get("updated_at") if newest else self.state.get("since")
            if until == self.state.get("seen"):
                if self.state.get("is_quiet"):
                    return
                # one more pass: a change that was being written when the last one began may have an older time
                self.state["is_quiet"] = True
            else:
                self.state["is_quiet"] = False
            self.state |= {"until": until, "offset": 0, "last_id": None}
        restarts = 0
        while True:
            offset = self.state["offset"]
            # include the last object of the page before: if it is not there, earlier rows have been deleted
            page = self._get(PAGE + bool(offset), max(0, offset - 1), "id", self.fields)
            if offset and (not page or page[0].get("id") != self.state["last_id"]) and restarts < MAX_RESTARTS:
                restarts += 1
                self.state |= {"offset": 0, "last_id": None}
                continue
            fresh = page[1:] if offset else page
            if fresh:
                yield fresh
                self.state |= {"offset": offset + len(fresh), "last_id": fresh[-1].get("id")}
            if len(fresh) < PAGE:
                break
        for name in ("offset", "last_id"):
            self.state.pop(name)
        until = self.state.pop("until")
        self.state["seen"] = until
        if until is not None:
            self.state["since"] = (time_of(until) - OVERLAP).isoformat(timespec="milliseconds")

    def _get(self, limit: int, offset: int, order: str, fields: str) -> list[dict[str, Any]]:
        since = self.state.get("since")
        query = self.query | ({} if since is None else {"updated_at[$gte]": since})
        answer = self.medusa.get(
            self.path, is_store=self.is_store, limit=limit, offset=offset, order=order, fields=fields, **query
        )
        return _objects(answer.get(self.name))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def time_of(text: Any) -> datetime:
    """Return a time in an answer. Raises InvalidRequest if it is not in ISO 8601."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InvalidRequest(f"source: {str(text)[:40]!r} is not a time; Medusa answers with ISO 8601.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
