"""What the client raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AisleError(Exception):
    """The base of everything that the client raises about an answer."""


class NoAnswer(AisleError):
    """The server could not be reached, or its answer was lost. Whether the request took effect is not known."""


class Problem(AisleError):
    """An answer that is an error, as a problem document (RFC 9457).

    status : the HTTP status.
    type : the kind of problem, such as ``urn:aisle:problem:out-of-stock``; ``about:blank`` without a document.
    title, detail : what happened, and what to do.
    errors : the fields that are wrong, each with ``field`` and ``message``.
    request_id : the id under which the server logged the request.
    retry_after_s : seconds after which the request may be repeated; None if the answer says nothing.
    document : the whole document.
    """

    def __init__(self, status: int, document: Mapping[str, Any], request_id: str, retry_after_s: float | None) -> None:
        self.status = status
        self.type = str(document.get("type", "about:blank"))
        self.title = str(document.get("title", f"HTTP {status}"))
        self.detail = str(document.get("detail", ""))
        self.errors: list[dict[str, Any]] = list(document.get("errors") or ())
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.document = dict(document)
        super().__init__(f"{status} {self.title}: {self.detail}" if self.detail else f"{status} {self.title}")
