"""A stand-in for the batches of Dataproc's API: https://cloud.google.com/dataproc-serverless/docs/reference/rest.

It is as strict as Google says: ids of 4 to 63 characters, a repeated request id gets the first answer, another request
for an id that exists is a conflict, unknown fields are refused. A batch runs when a test says so.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.integration.answering import JsonHandler

# the fields of a batch that a request may set, as far as they are used
FIELDS: dict[str, Any] = {
    "labels": None,
    "pysparkBatch": {"mainPythonFileUri", "args", "pythonFileUris", "jarFileUris", "fileUris", "archiveUris"},
    "runtimeConfig": {"version", "containerImage", "properties"},
    "environmentConfig": {"executionConfig", "peripheralsConfig"},
}
EXECUTION = {
    "serviceAccount",
    "subnetworkUri",
    "networkUri",
    "networkTags",
    "ttl",
    "idleTtl",
    "stagingBucket",
    "kmsKey",
}


class SparkServer:
    """The batches that were submitted, by id, and what the API answers instead of them."""

    def __init__(self, project: str) -> None:
        self.parent = f"/v1/projects/{project}/locations/europe-west1/batches"
        self.batches: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuses: tuple[int, str] | None = None
        self.host = ""

    def arguments(self, batch_id: str) -> dict[str, str]:
        """Return the arguments of a batch's program."""
        words = self.batches[batch_id]["pysparkBatch"]["args"]
        return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def end(self, batch_id: str, state: str, message: str = "") -> None:
        """Let a batch end."""
        self.batches[batch_id] |= {"state": state, "stateMessage": message}

    def create(self, query: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer batches.create."""
        batch_id, request_id = query.get("batchId", ""), query.get("requestId", "")
        if not re.fullmatch("[a-z0-9-]{4,63}", batch_id) or not re.fullmatch("[A-Za-z0-9_-]{1,40}", request_id):
            return 400, problem(400, "INVALID_ARGUMENT", "batch_id or request_id is malformed")
        unknown = body.keys() - FIELDS.keys()
        for name, known in FIELDS.items():
            unknown |= body.get(name, {}).keys() - known if known else set()
        unknown |= body["environmentConfig"]["executionConfig"].keys() - EXECUTION
        if unknown:
            return 400, problem(400, "INVALID_ARGUMENT", f"Unknown name {sorted(unknown)}")
        present = self.batches.get(batch_id)
        if present is not None and present["requestId"] != request_id:
            return 409, problem(409, "ALREADY_EXISTS", f"Batch {batch_id} already exists")
        if present is None:
            name = f"{self.parent.removeprefix('/v1/')}/{batch_id}"
            self.batches[batch_id] = body | {"name": name, "requestId": request_id, "state": "PENDING"}
        return 200, {"name": f"operations/{request_id}", "done": False}

    def answer(self, method: str, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a request."""
        path, query = urlsplit(url).path, {key: one[0] for key, one in parse_qs(urlsplit(url).query).items()}
        self.requests.append((method, path))
        if self.refuses is not None:
            return self.refuses[0], problem(self.refuses[0], "REFUSED", self.refuses[1])
        if method == "POST" and path == self.parent:
            return self.create(query, body)
        batch = self.batches.get(path.removeprefix(f"{self.parent}/"))
        if method == "GET" and batch is not None:
            return 200, {key: value for key, value in batch.items() if key != "requestId"}
        return 404, problem(404, "NOT_FOUND", f"Not found: {path}")


def problem(code: int, status: str, message: str) -> dict[str, Any]:
    """Return an error as Google's APIs write it."""
    return {"error": {"code": code, "status": status, "message": message}}


@contextmanager
def serve_spark(project: str) -> Iterator[SparkServer]:
    """Serve the API on a free port."""
    state = SparkServer(project)

    class Handler(JsonHandler):
        def do_POST(self) -> None:  # noqa: N802 — the name that http.server calls
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = state.answer("POST", self.path, body)
            self.answer(answer, status)

        def do_GET(self) -> None:  # noqa: N802 — as above
            status, answer = state.answer("GET", self.path, {})
            self.answer(answer, status)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.host = f"127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()
