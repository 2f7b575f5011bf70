"""The part that receives spans and metrics of the others, by OTLP over HTTP.

It serves the metrics to Prometheus, and to the function `admin` what the console's view of operations shows.
"""

import argparse
import gzip
import os
import signal
import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local import doors
from local.backlogs import read_backlogs
from local.gateway import problem, serve
from local.telemetry import otlp, store
from local.telemetry.history import History
from local.topics import DEAD_LETTER
from shared.domain.operations import Figures, Queue, to_json
from shared.errors import AppError, BodyTooLarge, MalformedBody

MAX_BODY_BYTES: Final = 16 << 20
PROTOBUF: Final = "application/x-protobuf"
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


class Collector:
    """Keeps what it receives: spans in the file ``path``, metrics in memory. Both need ``token``.

    ``pubsub`` is the address of the Pub/Sub server, host:port.
    """

    def __init__(self, path: Path, token: str, pubsub: str) -> None:
        self.path = path
        self.token = token
        self.pubsub = pubsub
        self.metrics = otlp.Registry()
        self.history = History()

    def app(self) -> Starlette:
        """Return the routes as an application."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/metrics", self.read),
                Route("/operations", self.read_operations),
                Route("/v1/traces", self.receiver(self.add_spans), methods=["POST"]),
                Route("/v1/metrics", self.receiver(self.add_metrics), methods=["POST"]),
            ]
        )

    def add_spans(self, body: bytes) -> None:
        """Store the spans of an export request. Raises MalformedBody."""
        store.add(self.path, otlp.spans_of(body))

    def add_metrics(self, body: bytes) -> None:
        """Keep the metrics of an export request. Raises MalformedBody."""
        request = otlp.metrics_of(body)
        self.metrics.add(request)
        self.history.add(request)

    def receiver(self, add: Callable[[bytes], None]) -> Callable[[Request], object]:
        """Return the route of an export request, which ``add`` takes."""

        async def receive(request: Request) -> Response:
            try:
                doors.check_caller(request.headers)
                if not doors.matches(doors.bearer(request.headers), self.token):
                    raise doors.refusal()
                await run_in_threadpool(add, await body_of(request))
            except AppError as error:
                return problem(error, request)
            # a response of OTLP without fields is an empty message
            return Response(b"", media_type=PROTOBUF)

        return receive

    async def health(self, _request: Request) -> Response:
        """Answer that the part is alive."""
        return PlainTextResponse("healthy\n")

    async def read(self, request: Request) -> Response:
        """Return the metrics of all parts in Prometheus' text format."""
        try:
            doors.check_caller(request.headers)
        except AppError as error:
            return problem(error, request)
        return Response(self.metrics.text(), media_type=PROMETHEUS)

    async def read_operations(self, request: Request) -> Response:
        """Return what waits in Pub/Sub now, and the requests and messages of the last hour."""
        try:
            doors.check_caller(request.headers)
        except AppError as error:
            return problem(error, request)
        return JSONResponse(to_json(await run_in_threadpool(self.figures)))

    def figures(self) -> Figures:
        """Return the figures of the console's view of operations."""
        queues: list[Queue] | None = None
        unavailable: dict[str, str] = {}
        try:
            queues = [
                Queue(backlog.subscription, backlog.waiting, backlog.oldest_age_s)
                for backlog in read_backlogs(self.pubsub)
                if not backlog.subscription.endswith(DEAD_LETTER)
            ]
        except ConnectionError as error:
            unavailable["queues"] = str(error)
        return Figures(self.history.traffic(), queues, self.history.routes(), unavailable)


async def body_of(request: Request) -> bytes:
    """Return the body, unpacked. Raises BodyTooLarge and MalformedBody."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"The body must be at most {MAX_BODY_BYTES} bytes.")
    if request.headers.get("content-encoding") != "gzip":
        return bytes(parts)
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(bytes(parts), MAX_BODY_BYTES)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise MalformedBody(f"The body is not valid gzip: {error}.") from None
    if unpacker.unconsumed_tail:
        raise BodyTooLarge(f"The unpacked body must be at most {MAX_BODY_BYTES} bytes.")
    return body


def main() -> None:
    """Serve on a socket that the supervisor opened, passed as a descriptor number."""
    parser = argparse.ArgumentParser(prog="python -m local.telemetry.collector")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    chosen = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    chosen.file.parent.mkdir(mode=0o700, exist_ok=True)
    collector = Collector(chosen.file, os.environ[doors.TELEMETRY_TOKEN], os.environ["PUBSUB_EMULATOR_HOST"])
    serve(collector.app(), [socket.socket(fileno=chosen.fd)])


if __name__ == "__main__":
    main()
