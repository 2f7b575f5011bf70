"""Google's own client, unmodified; an HTTP endpoint to push to; and builders of messages."""

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import grpc
from google.cloud import pubsub_v1
from google.pubsub_v1 import types
from google.pubsub_v1.services.publisher import PublisherClient as GapicPublisher
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.schema_service import SchemaServiceClient
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport


def wait_until(condition: Callable[[], Any], *, awaited: str, timeout_s: float = 60.0) -> Any:
    """Return the first true value of ``condition``; fail if there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {awaited}"
        time.sleep(0.01)
    return value


def data(messages: Iterable[Any]) -> list[str]:
    """Return the data of received messages as text."""
    return [received.message.data.decode() for received in messages]


def keyed(*names: str, key: str = "shopper") -> list[dict[str, Any]]:
    """Return messages of one ordering key."""
    return [{"data": name.encode(), "ordering_key": key} for name in names]


class Client:
    """Google's client against one address, in one project, with short methods for the calls that the tests repeat."""

    def __init__(self, address: str, project: str) -> None:
        self.address = address
        self.project = project
        # what PUBSUB_EMULATOR_HOST makes the client do, without changing this process's environment
        self.channel = grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
        self.publisher = pubsub_v1.PublisherClient(
            publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True),
            transport=PublisherGrpcTransport(channel=self.channel),
        )
        self._api = GapicPublisher(transport=self.publisher.transport)
        self.subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=self.channel))
        self.schemas = SchemaServiceClient(transport=SchemaServiceGrpcTransport(channel=self.channel))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.stop()
        self.channel.close()

    def clean(self) -> None:
        """Delete the project's subscriptions: a push to an endpoint that is gone would go on for ever."""
        for subscription in self.subscriber.list_subscriptions(project=f"projects/{self.project}"):
            self.subscriber.delete_subscription(subscription=subscription.name)

    def topic(self, name: str = "events", **settings: Any) -> str:
        path = f"projects/{self.project}/topics/{name}"
        self.publisher.create_topic(request={"name": path, **settings}, retry=None, timeout=10)
        return path

    def subscription(self, topic: str, name: str = "worker", **settings: Any) -> str:
        path = f"projects/{self.project}/subscriptions/{name}"
        self.subscriber.create_subscription(request={"name": path, "topic": topic, **settings}, retry=None, timeout=10)
        return path

    def update(self, subscription: str, *paths: str, **settings: Any) -> Any:
        return self.subscriber.update_subscription(
            request={"subscription": {"name": subscription, **settings}, "update_mask": {"paths": paths}}, retry=None
        )

    def publish(self, topic: str, *messages: bytes | dict[str, Any]) -> list[str]:
        """Publish in one request; a message that is only bytes is its data."""
        full = [message if isinstance(message, dict) else {"data": message} for message in messages]
        answer = self._api.publish(request={"topic": topic, "messages": full}, retry=None, timeout=20)
        return list(answer.message_ids)

    def pull(self, subscription: str, limit: int = 100, *, wait_s: float = 10.0) -> list[Any]:
        """Pull once. Both servers answer an empty pull a second before the caller's deadline."""
        answer = self.subscriber.pull(
            request={"subscription": subscription, "max_messages": limit}, retry=None, timeout=wait_s + 1
        )
        return list(answer.received_messages)

    def pull_many(self, subscription: str, count: int, *, wait_s: float = 10.0) -> list[Any]:
        """Pull until so many have come."""
        received: list[Any] = []
        deadline = time.monotonic() + wait_s
        while len(received) < count and time.monotonic() < deadline:
            received += self.pull(subscription, wait_s=max(0.1, deadline - time.monotonic()))
        return received

    def pull_nothing(self, subscription: str, *, wait_s: float = 0.3) -> bool:
        return not self.pull(subscription, wait_s=wait_s)

    def acknowledge(self, subscription: str, messages: Iterable[Any]) -> None:
        ids = [message.ack_id for message in messages]
        self.subscriber.acknowledge(request={"subscription": subscription, "ack_ids": ids}, retry=None, timeout=10)

    def modify(self, subscription: str, messages: Iterable[Any], seconds: int) -> None:
        request = {
            "subscription": subscription,
            "ack_ids": [message.ack_id for message in messages],
            "ack_deadline_seconds": seconds,
        }
        self.subscriber.modify_ack_deadline(request=request, retry=None, timeout=10)

    def nack(self, subscription: str, messages: Iterable[Any]) -> None:
        self.modify(subscription, messages, 0)

    @contextlib.contextmanager
    def stream(self, subscription: str, **first: Any) -> Iterator["Stream"]:
        """A raw StreamingPull, under the client library's own flow control and lease keeping."""
        stream = Stream(self, {"subscription": subscription, "stream_ack_deadline_seconds": 10, **first})
        try:
            yield stream
        finally:
            stream.close()


class Stream:
    def __init__(self, client: Client, first: dict[str, Any]) -> None:
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._requests.put(types.StreamingPullRequest(first))
        self._call = client.subscriber.transport.streaming_pull(iter(self._requests.get, None), timeout=20)
        self.received: list[Any] = []
        self.error: grpc.RpcError | None = None
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def send(self, **request: Any) -> None:
        self._requests.put(types.StreamingPullRequest(request))

    def wait_for(self, count: int) -> list[Any]:
        wait_until(lambda: len(self.received) >= count or self.error, awaited=f"{count} messages on the stream")
        return list(self.received)

    def close(self) -> None:
        self._requests.put(None)
        self._call.cancel()
        self._reader.join(timeout=5)

    def _read(self) -> None:
        try:
            for response in self._call:
                self.received.extend(response.received_messages)
        except grpc.RpcError as error:
            self.error = error


class Endpoint:
    """An HTTP server that notes what is posted to it and answers with ``status``, or what ``answer`` says."""

    def __init__(self) -> None:
        self.status = 200
        self.delay_s = 0.0
        self.posts: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.connections: set[Any] = set()
        self.answer: Callable[[dict[str, Any]], int] = lambda _: self.status
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                envelope = json.loads(body)
                outer.times.append(time.monotonic())
                outer.headers.append(dict(self.headers))
                outer.connections.add(self.client_address)
                outer.posts.append(envelope)
                time.sleep(outer.delay_s)
                self.send_response(outer.answer(envelope))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A peer that hangs up is no event here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/push?token=a"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.posts) >= count, awaited=f"{count} posts")
        return list(self.posts)
