"""The files below `web/` as responses: kept in memory with their compressed form, and revalidated by their content."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from shared.errors import NotFound
from shared.http.answers import matches
from shared.settings import settings

ROOT: Final = Path(__file__).parents[2] / "web"
CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
# Pages name their files without a version, so a browser must not mix the files of two releases. A file that has not
# changed is answered with 304.
CACHE_CONTROL: Final = "no-cache"
# for every response: its scripts and styles are files of this origin, and nothing inline runs
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "
    "connect-src 'self'{uploads}; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "Cache-Control": CACHE_CONTROL,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Vary": "Accept-Encoding",
}
# no empty and no hidden part, so that no path leaves the folder
_PATH: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
# smaller ones fit into one packet either way
_COMPRESSED_FROM_BYTES: Final = 500


def headers_of_pages() -> dict[str, str]:
    """Return the headers that every page and file has. Where images go to a bucket, the console may send them there."""
    store = settings().image_store or ""
    bucket = store.removeprefix("gs://") if store.startswith("gs://") else None
    uploads = "" if bucket is None else f" https://storage.googleapis.com/{bucket}/uploads/"
    return HEADERS | {"Content-Security-Policy": CONTENT_SECURITY_POLICY.format(uploads=uploads)}


@dataclass(frozen=True)
class _File:
    """A file as it was when it had this version: the time of its last change, and its size."""

    version: tuple[int, int]
    body: bytes
    compressed: bytes | None
    tag: str
    content_type: str

    @classmethod
    def read(cls, path: Path, version: tuple[int, int]) -> "_File":
        body = path.read_bytes()
        compressed = gzip.compress(body, 9, mtime=0) if len(body) >= _COMPRESSED_FROM_BYTES else body
        return cls(
            version,
            body,
            compressed if len(compressed) < len(body) else None,
            hashlib.sha256(body).hexdigest()[:24],
            CONTENT_TYPES[path.suffix],
        )

    def response(self, request: Request) -> Response:
        """Return the file, or 304 if the client has it."""
        is_compressed = self.compressed is not None and "gzip" in request.headers.get("accept-encoding", "")
        # strong tags: each names the bytes of one form
        tag = f'"{self.tag}-gzip"' if is_compressed else f'"{self.tag}"'
        headers = headers_of_pages() | {"ETag": tag}
        if matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        headers["Content-Type"] = self.content_type
        if is_compressed:
            headers["Content-Encoding"] = "gzip"
        return Response(self.compressed if is_compressed else self.body, headers=headers)


_files: dict[Path, _File] = {}


def file_response(request: Request, name: str) -> Response:
    """Return the response of the file ``name`` below `web/`. Raises NotFound.

    The file is read and compressed with its first request, and again after it has changed.
    """
    path = ROOT / name
    if not _PATH.fullmatch(name) or path.suffix not in CONTENT_TYPES:
        raise NotFound(f"There is no file {name[:200]!r} below /web.")
    try:
        status = path.stat()
        version = (status.st_mtime_ns, status.st_size)
        known = _files.get(path)
        if known is None or known.version != version:
            known = _files[path] = _File.read(path, version)
    except OSError:
        raise NotFound(f"There is no file {name[:200]!r} below /web.") from None
    return known.response(request)
