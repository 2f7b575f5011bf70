"""Pub/Sub: this process's publisher and subscriber, both in the cloud and against an emulator.

A circuit breaker keeps requests from waiting while Pub/Sub is unavailable: after a failed message, one message at a
time probes it, and all others are refused at once (docs/decisions/0052-bounded-waits.md).
"""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from typing import Any, Final

from shared.clients import closed_on_reset
from shared.errors import PubSubUnavailable
from shared.settings import settings
from shared.telemetry import metrics, spans

log = logging.getLogger(__name__)

# Seconds after a failed message during which messages are refused at once; then one of them probes Pub/Sub.
BREAKER_S: Final = 1.0
# Seconds to wait for the message that probes Pub/Sub.
PROBE_S: Final = 3.0
# No message is sent while an earlier one has been waiting for longer than this, once Pub/Sub has answered this process.
STALLED_S: Final = 4.0
# Seconds to wait, in the background, for the connection when a process starts.
CONNECT_S: Final = 10.0
# gRPC channel options: a new client gets its own connection instead of the previous client's broken one, and reconnects
# within a second once the server is back. By default, gRPC waits for up to two minutes between attempts.
CHANNEL_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_timeout_ms", 5000),
)


class _Breaker:
    """Decides from the outcomes of sent messages whether Pub/Sub is available."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget all outcomes."""
        with self._lock:
            self.is_open = False
            self._failed_at = self._probe_until = float("-inf")
            self._has_answered = False
            # When each pending message was sent, oldest first.
            self._sent_at: dict[Future[str], float] = {}

    def admit(self) -> None:
        """Return if a message may be sent. Raises PubSubUnavailable."""
        now = time.monotonic()
        with self._lock:
            if self.is_open:
                if now - self._failed_at >= BREAKER_S and now >= self._probe_until:
                    self._probe_until = now + PROBE_S
                    return
            elif not (self._has_answered and self._sent_at and now - next(iter(self._sent_at.values())) > STALLED_S):
                return
        error = PubSubUnavailable("Pub/Sub does not answer, so nothing was sent; send the request again.")
        error.was_sent = False
        raise error

    def watch(self, future: "Future[str]") -> None:
        """Record the outcome of a message once it is known."""
        with self._lock:
            self._sent_at[future] = time.monotonic()
        future.add_done_callback(self._learn)

    def _learn(self, ended: "Future[str]") -> None:
        error = None if ended.cancelled() else ended.exception()
        with self._lock:
            # A message sent before the last failure says nothing about the current connection.
            is_current = self._sent_at.pop(ended, None) is not None
            if error is None and not ended.cancelled():
                self.is_open, self._has_answered = False, True
                self._failed_at = self._probe_until = float("-inf")
        if is_current and error is not None and _is_outage(error):
            self.trip()

    def give_up(self, future: "Future[str]") -> None:
        """Treat a message that has waited for too long as failed."""
        if future in self._sent_at:
            self.trip()

    def trip(self) -> None:
        """Record that Pub/Sub failed, so that the next message is sent over a new connection."""
        with self._lock:
            now = time.monotonic()
            is_first = not self.is_open or now >= self._probe_until or now - self._failed_at >= BREAKER_S
            self.is_open, self._failed_at, self._probe_until = True, now, float("-inf")
            # They were sent over the failed connection.
            self._sent_at.clear()
        if is_first:
            _retire_publisher()


def _is_outage(error: BaseException) -> bool:
    """Return whether Pub/Sub itself failed, as opposed to the message or the topic."""
    from google.api_core import exceptions

    if isinstance(error, exceptions.GoogleAPICallError):
        return isinstance(error, (exceptions.ServerError, exceptions.TooManyRequests, exceptions.Cancelled))
    return isinstance(error, (exceptions.RetryError, TimeoutError))


breaker: Final = _Breaker()
_retired: list[Any] = []


def _retire_publisher() -> None:
    """Forget the publisher, so that the next message gets a new one. Messages in flight are still completed."""
    if not publisher.cache_info().currsize:
        return
    client = publisher()
    publisher.cache_clear()
    _retired.append(client)
    closing = threading.Timer(2 * settings().publish_timeout_s + 1, _close_retired, [client])
    closing.daemon = True
    closing.start()


def _close_retired(client: Any) -> None:
    if client in _retired:
        _retired.remove(client)
        client.stop()
        client.transport.close()


@cache
def publisher() -> Any:
    """Return the process's publisher. A message waits at most 2 ms for others to share its batch."""
    import grpc
    from google.api_core import exceptions
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud import pubsub_v1
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    class Transport(PublisherGrpcTransport):  # type: ignore[misc]  # the library's types are not known here
        """The client's transport with CHANNEL_OPTIONS."""

        def __init__(self, *, host: str, channel: Any = None, **others: Any) -> None:
            if channel is not None:
                # The channel of an emulator.
                channel.close()
                channel = grpc.insecure_channel(host, options=CHANNEL_OPTIONS)
            super().__init__(host=host, channel=channel or self._create, **others)

        def _create(self, host: str, *, options: Any, **others: Any) -> Any:
            return self.create_channel(host, options=[*options, *CHANNEL_OPTIONS], **others)

    timeout_s = settings().publish_timeout_s
    # By default, the client retries for ten minutes: a message could still be sent after its sender got an error.
    retry = Retry(
        predicate=if_exception_type(
            exceptions.Aborted,
            exceptions.Cancelled,
            exceptions.DeadlineExceeded,
            exceptions.InternalServerError,
            exceptions.ResourceExhausted,
            exceptions.ServiceUnavailable,
            exceptions.Unknown,
        ),
        initial=0.1,
        maximum=2.0,
        timeout=timeout_s,
    )
    return pubsub_v1.PublisherClient(
        batch_settings=pubsub_v1.types.BatchSettings(max_messages=500, max_latency=0.002),
        publisher_options=pubsub_v1.types.PublisherOptions(timeout=timeout_s, retry=retry),
        transport=Transport,
    )


# Held while the publisher is created, so that a concurrent message waits instead of creating a second one.
_creation: Final = threading.Lock()


def _shared_publisher() -> Any:
    if publisher.cache_info().currsize:
        return publisher()
    with _creation:
        return publisher()


def connect_in_background() -> None:
    """Create the publisher and open its connection in a thread, so that the first message waits for neither.

    A failure is only logged: the first message tries again, and its sender gets the error.
    """
    threading.Thread(target=_connect, name="connect-publisher", daemon=True).start()


def _connect() -> None:
    try:
        import grpc

        grpc.channel_ready_future(_shared_publisher().transport.grpc_channel).result(timeout=CONNECT_S)
    except Exception as error:  # noqa: BLE001 — no request depends on this attempt
        log.warning("publisher not connected", extra={"error": (str(error) or type(error).__name__)[:500]})


@cache
def subscriber() -> Any:
    """Return the process's subscriber, for pulling. Messages pushed to functions do not need it."""
    from google.cloud import pubsub_v1

    return pubsub_v1.SubscriberClient()


@closed_on_reset
def close() -> None:
    """Send the queued messages, close both clients and forget them."""
    if publisher.cache_info().currsize:
        client = publisher()
        client.stop()
        client.transport.close()
    publisher.cache_clear()
    while _retired:
        _close_retired(_retired[0])
    breaker.reset()
    if subscriber.cache_info().currsize:
        subscriber().close()
    subscriber.cache_clear()


def topic_path(topic: str) -> str:
    """Return the full name, in this project, of a topic in functions.yaml."""
    return f"projects/{settings().require('google_cloud_project')}/topics/{topic}"


def subscription_path(subscription: str) -> str:
    """Return the full name of a subscription in this project."""
    return f"projects/{settings().require('google_cloud_project')}/subscriptions/{subscription}"


def send(topic: str, data: bytes, attributes: Mapping[str, str]) -> "Future[str]":
    """Queue a message for publication; the future completes when Pub/Sub has stored it, or fails.

    Raises PubSubUnavailable, without sending anything, while Pub/Sub does not respond.
    """
    breaker.admit()
    started = time.perf_counter()
    future: Future[str] = _shared_publisher().publish(topic_path(topic), data, **attributes)
    breaker.watch(future)
    if spans.is_on():
        future.add_done_callback(lambda ended: _record(topic, time.perf_counter() - started, ended))
    return future


def _record(topic: str, seconds: float, ended: "Future[str]") -> None:
    is_stored = not ended.cancelled() and ended.exception() is None
    metrics.record(
        metrics.PUBLISH_DURATION,
        seconds,
        {"messaging.destination.name": topic, "aisle.outcome": "stored" if is_stored else "failed"},
    )


def wait_s() -> float:
    """Return how many seconds to wait for the outcome of a message sent now."""
    timeout_s = settings().publish_timeout_s
    return min(PROBE_S, timeout_s) if breaker.is_open else timeout_s


def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
    """Publish a message, wait until Pub/Sub has stored it, and return its id. Raises PubSubUnavailable."""
    future = None
    try:
        future = send(topic, data, attributes)
        return future.result(timeout=wait_s())
    except Exception as error:
        raise refused(error, future) from error


def refused(error: Exception, future: "Future[str] | None" = None) -> PubSubUnavailable:
    """Log why Pub/Sub did not accept a message, and return the error with which to answer the request.

    ``future`` is the message's; it may still be pending after the wait.
    """
    if isinstance(error, PubSubUnavailable):
        return error
    if isinstance(error, TimeoutError) and future is not None:
        breaker.give_up(future)
    log.error("publish failed", extra={"error": (str(error) or type(error).__name__)[:500]})
    return PubSubUnavailable("Pub/Sub did not accept the event; send the request again.", retry_after_s=2)
