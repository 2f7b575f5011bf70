"""Fetches a scheduled feed completely before any of it is read, unless it has not changed since the last run."""

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any, Final
from urllib.parse import urlsplit

from shared.clients import feed_secrets, http_files, sources
from shared.errors import InvalidRequest

# a file below this size is held in memory, a larger one on disk
SPOOLED_BYTES: Final = 16_777_216


@dataclass(frozen=True)
class FeedFile:
    """A fetched feed, and the marks by which the next run recognises it."""

    file: IO[bytes]
    etag: str | None
    last_modified: str | None
    digest: str


def _authorised(url: str, secret: str | None) -> tuple[str, str | None]:
    """Return the URL to fetch and the Authorization header, depending on the form of the feed's secret."""
    if secret is None:
        return url, None
    if secret.startswith("?"):
        return url + ("&" if urlsplit(url).query else "?") + secret[1:], None
    if secret.split(" ")[0] in ("Bearer", "Basic", "Token"):
        return url, secret
    if ":" not in secret:
        raise InvalidRequest("credentials: write the secret as user:password, as Bearer TOKEN or as ?name=value.")
    return url, f"Basic {base64.b64encode(secret.encode()).decode()}"


@contextmanager
def fetched(
    url: str, credentials: str | None, etag: str | None, last_modified: str | None, digest: str | None
) -> Iterator[FeedFile | None]:
    """Fetch a feed and yield it; None if it is the file that ``etag``, ``last_modified`` and ``digest`` describe.

    Raises InvalidRequest if it cannot be fetched completely. The message never contains the secret.
    """
    secret = feed_secrets.read_secret(credentials) if credentials is not None else None
    with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as copy:
        try:
            marks = _copy(url, secret, {"If-None-Match": etag, "If-Modified-Since": last_modified}, copy)
        except http_files.NotModified:
            marks = None
        except InvalidRequest as error:
            raise InvalidRequest(_without(secret, error.detail)) from None
        except (OSError, HTTPException, ValueError) as error:
            raise InvalidRequest(_without(secret, sources.unreadable(url, error).detail)) from None
        if marks is None or marks[2] == digest:
            yield None
        else:
            copy.seek(0)
            yield FeedFile(copy, *marks)


def _copy(
    url: str, secret: str | None, conditions: dict[str, str | None], copy: IO[bytes]
) -> tuple[str | None, str | None, str]:
    """Write the file at a URL to ``copy``, and return its entity tag, its time of modification and its digest."""
    address, authorization = _authorised(sources.checked(url), secret)
    if urlsplit(address).scheme in ("http", "https"):
        headers = {name: value for name, value in conditions.items() if value}
        source: Any = sources.open_http(address, authorization, headers)
    else:
        # feeds are in ordinary buckets, without hierarchical namespaces, as in sources.opened
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        import fsspec

        source = fsspec.open(address, "rb").open()
    digest = hashlib.sha256()
    with source:
        for block in sources.blocks(source):
            digest.update(block)
            copy.write(block)
    return getattr(source, "etag", None), getattr(source, "last_modified", None), digest.hexdigest()


def _without(secret: str | None, text: str) -> str:
    """Return a message with the secret removed, in every form in which it was sent."""
    for part in {secret, (secret or "").lstrip("?"), *(secret or "").replace("=", ":").split(":")} - {None, ""}:
        if part and len(part) >= 4:
            text = text.replace(part, "…")
    return text
