"""Pub/Sub: the publisher and the subscriber of this process, in the cloud and against an emulator alike.

A breaker keeps requests from waiting for a Pub/Sub that does not answer: after a failed message one message at a time
tries it, and all others are refused at once (docs/decisions/0052-bounded-waits.md).
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

# After a failed message, messages are refused at once for this long; then one of them tries Pub/Sub.
BREAKER_S: Final = 1.0
# How long the message that tries Pub/Sub is waited for.
PROBE_S: Final = 3.0
# No message is sent behind one that has waited for longer than this, once Pub/Sub has answered this process.
STALLED_S: Final = 4.0
# How long a process that starts waits for its connection, in the background.
CONNECT_S: Final = 10.0
# Of the connection: a new client gets one of its own, not the broken one of the client before, and a server that is
# back is found within a second. The default is to wait for up to two minutes between attempts.
CHANNEL_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_timeout_ms", 5000),
)


class _Breaker:
    """Whether Pub/Sub answers, from the outcomes of the messages that were sent to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget all outcomes."""
        with self._lock:
            self.is_open = False
            self._failed_at = self._probe_until = float("-inf")
            self._has_answered = False
            # when each message was sent that has no outcome yet, oldest first
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
        """Learn from the outcome of a message."""
        with self._lock:
            self._sent_at[future] = time.monotonic()
        future.add_done_callback(self._learn)

    def _learn(self, ended: "Future[str]") -> None:
        error = None if ended.cancelled() else ended.exception()
        with self._lock:
            # a message of before the last failure says nothing of the connection of now
            is_current = self._sent_at.pop(ended, None) is not None
            if error is None and not ended.cancelled():
                self.is_open, self._has_answered = False, True
                self._failed_at = self._probe_until = float("-inf")
        if is_current and error is not None and _is_outage(error):
            self.trip()

    def give_up(self, future: "Future[str]") -> None:
        """Take a message that has waited for too long for a failed one."""
        if future in self._sent_at:
            self.trip()

    def trip(self) -> None:
        """Remember that Pub/Sub failed, and have the next message sent over a new connection."""
        with self._lock:
            now = time.monotonic()
            is_first = not self.is_open or now >= self._probe_until or now - self._failed_at >= BREAKER_S
            self.is_open, self._failed_at, self._probe_until = True, now, float("-inf")
            # they were sent over the connection that failed
            self._sent_at.clear()
        if is_first:
            _retire_publisher()


def _is_outage(error: BaseException) -> bool:
    """Return whether Pub/Sub failed, and not the message or the topic."""
    from google.api_core import exceptions

    if isinstance(error, exceptions.GoogleAPICallError):
        return isinstance(error, (exceptions.ServerError, exceptions.TooManyRequests, exceptions.Cancelled))
    return isinstance(error, (exceptions.RetryError, TimeoutError))


breaker: Final = _Breaker()
_retired: list[Any] = []


def _retire_publisher() -> None:
    """Forget the publisher, so that the next message gets a new one. Messages in flight still end."""
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
                # of an emulator
                channel.close()
                channel = grpc.insecure_channel(host, options=CHANNEL_OPTIONS)
            super().__init__(host=host, channel=channel or self._create, **others)

        def _create(self, host: str, *, options: Any, **others: Any) -> Any:
            return self.create_channel(host, options=[*options, *CHANNEL_OPTIONS], **others)

    timeout_s = settings().publish_timeout_s
    # The client's default is to retry for ten minutes: a message could still leave after its sender got an error.
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


# held while the publisher is created: a message that comes meanwhile waits, and creates no second one
_creation: Final = threading.Lock()


def _shared_publisher() -> Any:
    if publisher.cache_info().currsize:
        return publisher()
    with _creation:
        return publisher()


def connect_in_background() -> None:
    """Create the publisher and open its connection in a thread, so that the first message waits for neither.

    A failure is logged: the first message tries again, and its sender gets the error.
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
    """Return the process's subscriber. It pulls; what is pushed to functions needs none."""
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
    """Queue a message for publication; the future ends when Pub/Sub has stored it, or fails.

    Raises PubSubUnavailable, without sending anything, while Pub/Sub does not answer.
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
    """Return how long to wait for the outcome of a message that is sent now."""
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
    """Log why Pub/Sub did not accept a message, and return the error to answer the request with.

    ``future`` is that of the message, which may have had no outcome within the time that it was waited for.
    """
    if isinstance(error, PubSubUnavailable):
        return error
    if isinstance(error, TimeoutError) and future is not None:
        breaker.give_up(future)
    log.error("publish failed", extra={"error": (str(error) or type(error).__name__)[:500]})
    return PubSubUnavailable("Pub/Sub did not accept the event; send the request again.", retry_after_s=2)
