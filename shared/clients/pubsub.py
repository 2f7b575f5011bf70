"""Publishing: the real Pub/Sub client, one per process, in the cloud and against an emulator alike."""

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from typing import Any

from shared.clients import closed_on_reset
from shared.errors import PubSubUnavailable
from shared.settings import settings

log = logging.getLogger(__name__)


@cache
def publisher() -> Any:
    """Return the process's publisher. A batch leaves after 2 ms: an event waits for nobody longer than that."""
    from google.api_core import exceptions
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud import pubsub_v1

    timeout_s = settings().publish_timeout_s
    # left to itself the client goes on for ten minutes: a message would leave after its sender was told that it had not
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
    )


@closed_on_reset
def close() -> None:
    """Send what is queued and forget the client."""
    if publisher.cache_info().currsize:
        client = publisher()
        client.stop()
        client.transport.close()
    publisher.cache_clear()


def topic_path(topic: str) -> str:
    """Return the full name of one of functions.yaml's topics in this project."""
    return f"projects/{settings().require('google_cloud_project')}/topics/{topic}"


def send(topic: str, data: bytes, attributes: Mapping[str, str]) -> "Future[str]":
    """Hand a message to the publisher; the future is done when Pub/Sub has it."""
    future: Future[str] = publisher().publish(topic_path(topic), data, **attributes)
    return future


def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
    """Publish and wait until Pub/Sub has the message; return its id. Raises PubSubUnavailable."""
    try:
        return send(topic, data, attributes).result(timeout=settings().publish_timeout_s)
    except Exception as error:
        raise refused(error) from error


def refused(error: Exception) -> PubSubUnavailable:
    """Log why Pub/Sub did not take a message and return the problem to answer with."""
    log.error("publish failed", extra={"error": (str(error) or type(error).__name__)[:500]})
    return PubSubUnavailable("Pub/Sub did not take the event; send it again.", retry_after_s=2)
