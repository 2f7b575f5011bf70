"""Who may call the routes of the local system that the cloud keeps private: running jobs, and delivering messages.

In the cloud Cloud Run checks the caller's identity before the code starts. Here every page that a browser shows can
reach the servers of its machine, so these routes check the caller themselves: the name that the browser connected to
(a foreign name can be made to lead here), the page that sent the request, its media type, and a token.
"""

import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from delivery.http import LOOPBACK
from shared.errors import Forbidden, Unauthorized, UnsupportedMediaType

# in the environment of the parts: arguments of a process are readable by every user of the machine
OPERATOR_TOKEN: Final = "AISLE_OPERATOR_TOKEN"  # noqa: S105 — the name of a variable
PUSH_TOKEN: Final = "AISLE_PUSH_TOKEN"  # noqa: S105 — the name of a variable
TELEMETRY_TOKEN: Final = "AISLE_TELEMETRY_TOKEN"  # noqa: S105 — the name of a variable
TELEMETRY_URL: Final = "AISLE_TELEMETRY_URL"


def check_caller(headers: Mapping[str, str]) -> None:
    """Check what a web page cannot choose freely. ``headers`` has names in lower case.

    Raises Forbidden unless the request names this machine and comes from no web page.
    """
    host = headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in LOOPBACK:
        raise Forbidden(f"Host: must be localhost or 127.0.0.1; got {host[:200]!r}.")
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        raise Forbidden("Origin: web pages may not call this route. Use ./aisle job, or POST /admin/jobs/NAME/run.")


def check_request(headers: Mapping[str, str]) -> None:
    """Check the caller, and that the body is JSON. Raises Forbidden and UnsupportedMediaType."""
    check_caller(headers)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Content-Type: must be application/json.")


def bearer(headers: Mapping[str, str]) -> str:
    """Return the bearer token of a request, empty if it has none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def matches(presented: str, expected: str) -> bool:
    """Return whether a token is the expected one. Without an expected token none matches."""
    return bool(expected) and secrets.compare_digest(presented.encode(), expected.encode())


def refusal() -> Unauthorized:
    """Return the error of a request without a token that opens the route."""
    return Unauthorized(
        "Authorization: this route needs the token of the running system. Use ./aisle job, or "
        "POST /admin/jobs/NAME/run with ADMIN_TOKEN.",
        headers={"WWW-Authenticate": "Bearer"},
    )
