"""Storage of uploaded images, named by IMAGE_STORE: a local folder or a Cloud Storage bucket.

A file is uploaded once, below ``uploads/``, and copied to ``products/`` after it has been checked. Uploads are deleted
after a day in any case.
"""

import base64
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from shared.clients import google_rest
from shared.errors import Unavailable
from shared.settings import settings

STORAGE: Final = "storage.googleapis.com"
CREDENTIALS: Final = "iamcredentials.googleapis.com"
BLOCK_BYTES: Final = 65_536
DAY_S: Final = 86_400


class Folder:
    """Images in a local folder. Callers must choose names without path separators."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _upload(self, name: str) -> Path:
        return self.root / "uploads" / name

    def _image(self, product_id: int, name: str) -> Path:
        return self.root / "products" / str(product_id) / name

    def save_upload(self, name: str, body: bytes) -> bool:
        """Store an uploaded file; return False, changing nothing, if the name is taken."""
        self._forget_old()
        path = self._upload(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with path.open("xb") as file:
                file.write(body)
        except FileExistsError:
            return False
        return True

    def _forget_old(self) -> None:
        for path in (self.root / "uploads").glob("*"):
            if path.stat().st_mtime < time.time() - DAY_S:
                path.unlink(missing_ok=True)

    def read_upload(self, name: str, max_bytes: int) -> bytes | None:
        """Return an uploaded file, or its first ``max_bytes``; None if nothing was uploaded under this name."""
        try:
            with self._upload(name).open("rb") as file:
                return file.read(max_bytes)
        except FileNotFoundError:
            return None

    def keep(self, product_id: int, name: str, body: bytes, content_type: str) -> None:  # noqa: ARG002 — the name has it
        """Keep an image of a product."""
        path = self._image(product_id, name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written atomically: a reader sees all of it or nothing.
        unfinished = path.with_name(f"{name}.{os.getpid()}.{time.monotonic_ns()}")
        unfinished.write_bytes(body)
        unfinished.replace(path)

    def open(self, product_id: int, name: str) -> tuple[int, Iterator[bytes]] | None:
        """Return size and content of an image; None if there is none of this name."""
        try:
            file = self._image(product_id, name).open("rb")
        except FileNotFoundError:
            return None

        def blocks() -> Iterator[bytes]:
            with file:
                while block := file.read(BLOCK_BYTES):
                    yield block

        return os.fstat(file.fileno()).st_size, blocks()


class Bucket:
    """Images in a Cloud Storage bucket, by its JSON API (https://cloud.google.com/storage/docs/json_api/v1)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _path(self, name: str) -> str:
        return f"/storage/v1/b/{self.name}/o/{quote(name, safe='')}"

    def upload_request(self, name: str, content_type: str, size: int, lifetime_s: int) -> tuple[str, dict[str, str]]:
        """Return the signed URL to which a file may be PUT once, and the request's headers. Raises Unavailable."""
        headers = {
            "content-type": content_type,
            # Exactly this many bytes.
            "x-goog-content-length-range": f"{size},{size}",
            # Only if there is no object of this name yet.
            "x-goog-if-generation-match": "0",
        }
        now = datetime.now(UTC)
        account = google_rest.account_email()
        parts, text = to_sign(f"/{self.name}/uploads/{name}", headers, account, now, lifetime_s)
        answer = google_rest.call(
            CREDENTIALS,
            "POST",
            f"/v1/projects/-/serviceAccounts/{account}:signBlob",
            body={"payload": base64.b64encode(text.encode()).decode()},
        )
        signature = base64.b64decode(answer["signedBlob"]).hex()
        return f"https://{STORAGE}{parts}&X-Goog-Signature={signature}", headers

    def read_upload(self, name: str, max_bytes: int) -> bytes | None:
        """Return an uploaded file, or its first ``max_bytes``; None if nothing was uploaded under this name."""
        path = self._path(f"uploads/{name}")
        status, body = google_rest.send(STORAGE, "GET", path, {"alt": "media"}, max_bytes=max_bytes)
        return None if status == 404 else _of(status, body)

    def keep(self, product_id: int, name: str, body: bytes, content_type: str) -> None:
        """Keep an image of a product."""
        path = f"/upload/storage/v1/b/{self.name}/o"
        query = {"uploadType": "media", "name": f"products/{product_id}/{name}"}
        _of(*google_rest.send(STORAGE, "POST", path, query, body, content_type))

    def open(self, product_id: int, name: str) -> tuple[int, Iterator[bytes]] | None:
        """Return size and content of an image; None if there is none of this name."""
        path = self._path(f"products/{product_id}/{name}")
        status, size, blocks = google_rest.stream(STORAGE, path, {"alt": "media"}, BLOCK_BYTES)
        if status == 404:
            return None
        _of(status, b"")
        return size, blocks


def _of(status: int, body: bytes) -> bytes:
    if not 200 <= status < 300:
        raise Unavailable(f"Cloud Storage answers {status}. See the log, and the roles in docs/service-accounts.md.")
    return body


def to_sign(resource: str, headers: Mapping[str, str], account: str, now: datetime, lifetime_s: int) -> tuple[str, str]:
    """Return the path and query of a signed PUT without its signature, and the string to sign.

    Method: https://cloud.google.com/storage/docs/authentication/signatures (V4).
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/auto/storage/goog4_request"
    signed = {"host": STORAGE, **headers}
    names = ";".join(sorted(signed))
    query = {
        "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
        "X-Goog-Credential": f"{account}/{scope}",
        "X-Goog-Date": moment,
        "X-Goog-Expires": str(lifetime_s),
        "X-Goog-SignedHeaders": names,
    }
    written = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))
    lines = [f"{name}:{signed[name]}" for name in sorted(signed)]
    canonical = "\n".join(["PUT", resource, written, *lines, "", names, "UNSIGNED-PAYLOAD"])
    text = "\n".join(["GOOG4-RSA-SHA256", moment, scope, sha256(canonical.encode()).hexdigest()])
    return f"{resource}?{written}", text


def image_store() -> Folder | Bucket:
    """Return the store that IMAGE_STORE names. Raises MissingSetting."""
    address = urlsplit(settings().require("image_store"))
    return Bucket(address.netloc) if address.scheme == "gs" else Folder(Path(unquote(address.path)))
