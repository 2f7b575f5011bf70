"""Feeds in gs:// are read by fsspec and gcsfs, here from a stand-in for the Cloud Storage calls that they make."""

import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from shared.clients import postgres
from tests.integration.cloud_sql_server import Authority
from tests.integration.conftest import Serve, settings_of

OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/([^?]+)")
FEED = b"external_id,name,price\nlamp,Lamp,9.99\nvase,Vase,12\n"


class CloudStorage(ThreadingHTTPServer):
    """Objects in memory, served as metadata, bytes and ranges of bytes; and tokens."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.objects: dict[tuple[str, str], bytes] = {}
        self.authorized: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    server: CloudStorage

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, media_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.authorized.add(self.headers.get("Authorization", ""))
        path, _, query = self.path.partition("?")
        if path.endswith("/o"):
            # a name that is no object may be a folder
            return self.answer(b'{"kind": "storage#objects", "items": []}')
        match = OBJECT.fullmatch(path)
        content = self.server.objects.get((unquote(match[1]), unquote(match[2]))) if match else None
        if match is None or content is None:
            return self.answer(b'{"error": {"code": 404, "message": "No such object"}}', 404)
        if "alt=media" in query or path.startswith("/download"):
            if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                end = int(wanted[2]) + 1 if wanted[2] else len(content)
                return self.answer(content[int(wanted[1]) : end], 206, "application/octet-stream")
            return self.answer(content, 200, "application/octet-stream")
        metadata = {
            "kind": "storage#object",
            "bucket": unquote(match[1]),
            "name": unquote(match[2]),
            "size": str(len(content)),
            "generation": "1",
            "timeCreated": "2026-11-21T10:00:00Z",
            "updated": "2026-11-21T10:00:00Z",
            "mediaLink": f"{self.server.url}/download{path}?alt=media",
        }
        return self.answer(json.dumps(metadata).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(json.dumps({"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}).encode())


@pytest.fixture
def storage(env: dict[str, str], tmp_path: Path) -> Iterator[CloudStorage]:
    # as shared/clients/sources.py does before the library is first imported
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import gcsfs

    server = CloudStorage()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    credentials = Authority(tmp_path).credentials(f"{server.url}/token")
    gcsfs.GCSFileSystem.clear_instance_cache()
    cloud = {
        "STORAGE_EMULATOR_HOST": server.url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "ENVIRONMENT": "prod",
    }
    try:
        with settings_of(env | cloud):
            yield server
    finally:
        gcsfs.GCSFileSystem.clear_instance_cache()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_feed_is_imported_from_a_bucket_as_the_functions_account(storage: CloudStorage, serve: Serve) -> None:
    storage.objects["feeds", "2026/feed.csv"] = FEED
    answer = serve("import_catalog").post("/", json={"source": "gs://feeds/2026/feed.csv"}).json()
    assert (answer["rows"], answer["created"], answer["rejected"]) == (2, 2, 0)
    assert postgres.read("SELECT name FROM products ORDER BY name")[0][0] == "Lamp"
    assert storage.authorized == {"Bearer a-token"}


def test_a_packed_feed_is_unpacked_on_the_way(storage: CloudStorage, serve: Serve) -> None:
    storage.objects["feeds", "feed.csv.gz"] = gzip.compress(FEED)
    assert serve("import_catalog").post("/", json={"source": "gs://feeds/feed.csv.gz"}).json()["created"] == 2


def test_a_missing_feed_is_reported_as_missing(storage: CloudStorage, serve: Serve) -> None:
    answer = serve("import_catalog").post("/", json={"source": "gs://feeds/nothing.csv"})
    assert answer.status_code == 422
    assert "does not exist" in answer.json()["detail"]
