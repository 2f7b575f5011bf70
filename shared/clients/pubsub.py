"""Pub/Sub: the publisher and the subscriber of this process, in the cloud and against an emulator alike."""

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
    """Return the process's publisher. A message waits at most 2 ms for others to share its batch."""
    from google.api_core import exceptions
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud import pubsub_v1

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
    )


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
    """Queue a message for publication; the future ends when Pub/Sub has stored it, or fails."""
    future: Future[str] = publisher().publish(topic_path(topic), data, **attributes)
    return future


def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
    """Publish a message, wait until Pub/Sub has stored it, and return its id. Raises PubSubUnavailable."""
    try:
        return send(topic, data, attributes).result(timeout=settings().publish_timeout_s)
    except Exception as error:
        raise refused(error) from error


def refused(error: Exception) -> PubSubUnavailable:
    """Log why Pub/Sub did not accept a message, and return the error to answer the request with."""
    log.error("publish failed", extra={"error": (str(error) or type(error).__name__)[:500]})
    return PubSubUnavailable("Pub/Sub did not accept the event; send the request again.", retry_after_s=2)
