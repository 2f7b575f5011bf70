"""A stand-in for Cloud Storage and for the signing of IAM credentials, which checks what it gets as Google does.

Addresses are signed by the V4 method (https://cloud.google.com/storage/docs/authentication/signatures). The check reads
the request on its own.
"""

import base64
import hashlib
import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.integration.answering import JsonHandler, serving

BUCKET = "shop-images"
ACCOUNT = "emulated@aisle.iam.gserviceaccount.com"


class Storage(ThreadingHTTPServer):
    """A bucket, and an account that signs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        self.key = rsa.generate_private_key(65537, 2048)
        # content type and content by name
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.now = lambda: datetime.now(UTC)


class Handler(JsonHandler):
    server: Storage

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def refuse(self, status: int, message: str) -> None:
        self.answer({"error": {"code": status, "message": message}}, status)

    def do_POST(self) -> None:  # noqa: N802 — named by http.server
        address, body = urlsplit(self.path), self.body()
        query = dict(parse_qsl(address.query))
        if self.headers["X-Emulated-Host"] == "iamcredentials.googleapis.com":
            assert address.path == f"/v1/projects/-/serviceAccounts/{ACCOUNT}:signBlob", self.path
            text = base64.b64decode(json.loads(body)["payload"])
            signature = self.server.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
            return self.answer({"keyId": "k", "signedBlob": base64.b64encode(signature).decode()})
        assert address.path == f"/upload/storage/v1/b/{BUCKET}/o", self.path
        assert query["uploadType"] == "media"
        self.server.objects[query["name"]] = (self.headers["Content-Type"], body)
        return self.answer({"name": query["name"]})

    def do_GET(self) -> None:  # noqa: N802 — named by http.server
        address = urlsplit(self.path)
        assert dict(parse_qsl(address.query)) == {"alt": "media"}, self.path
        name = unquote(address.path.removeprefix(f"/storage/v1/b/{BUCKET}/o/"))
        if name not in self.server.objects:
            return self.refuse(404, "No such object")
        content_type, content = self.server.objects[name]
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def do_PUT(self) -> None:  # noqa: N802 — named by http.server
        """Take a file at a signed address."""
        body = self.body()
        status, message = self.check(body)
        if status != 200:
            return self.refuse(status, message)
        name = urlsplit(self.path).path.removeprefix(f"/{BUCKET}/")
        self.server.objects[name] = (self.headers["Content-Type"], body)
        return self.answer({})

    def check(self, body: bytes) -> tuple[int, str]:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        signature = query.pop("X-Goog-Signature", "")
        signed = query["X-Goog-SignedHeaders"].split(";")
        headers = {name.lower(): value for name, value in self.headers.items()} | {"host": "storage.googleapis.com"}
        canonical = [
            "PUT",
            address.path,
            "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in sorted(query.items())),
            *(f"{name}:{headers.get(name, '').strip()}" for name in signed),
            "",
            ";".join(signed),
            "UNSIGNED-PAYLOAD",
        ]
        account, date, region, service, kind = query["X-Goog-Credential"].split("/")
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        text = "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], f"{date}/{region}/{service}/{kind}", digest])
        try:
            self.server.key.public_key().verify(
                bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (InvalidSignature, ValueError):
            return 403, "SignatureDoesNotMatch"
        assert (account, region, service, kind) == (ACCOUNT, "auto", "storage", "goog4_request")
        began = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self.server.now() >= began + timedelta(seconds=int(query["X-Goog-Expires"])):
            return 400, "ExpiredToken"
        low, high = map(int, headers["x-goog-content-length-range"].split(","))
        if not low <= len(body) <= high:
            return 400, "EntityTooLarge"
        if (
            headers["x-goog-if-generation-match"] == "0"
            and address.path.removeprefix(f"/{BUCKET}/") in self.server.objects
        ):
            return 412, "PreconditionFailed"
        return 200, ""


def storage() -> AbstractContextManager[Storage]:
    """Run a stand-in."""
    return serving(Storage())
