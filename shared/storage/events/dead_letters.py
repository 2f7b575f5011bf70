"""Dead letters: messages that no attempt delivered, listed and published again to the topic that they came from.

Each topic has a subscription ``<topic>-dead-letter`` that holds them. A message takes effect exactly once, so it may go
again to all subscriptions of its topic, including those that had already processed it.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shared.clients import pubsub
from shared.errors import PubSubUnavailable
from shared.messages import PUBLISHED_AT
from shared.settings import settings

SUFFIX: Final = "-dead-letter"
# the prefix of the attributes that Pub/Sub adds to a dead letter
ADDED_PREFIX: Final = "CloudPubSubDeadLetter"
PULL_TIMEOUT_S: Final = 3.0


class DeadLetter(NamedTuple):
    """A dead letter; ``data`` is text if it is valid UTF-8, otherwise base64."""

    topic: str
    message_id: str
    subscription: str | None
    attempts: int | None
    published_at: str
    attributes: dict[str, str]
    data: str


def _path(topic: str) -> str:
    return pubsub.subscription_path(f"{topic}{SUFFIX}")


def _pull(topic: str, limit: int) -> list[Any]:
    from google.api_core import exceptions

    try:
        response = pubsub.subscriber().pull(
            subscription=_path(topic), max_messages=limit, timeout=PULL_TIMEOUT_S, retry=None
        )
    except exceptions.DeadlineExceeded:
        # a pull from an empty subscription waits for the next message
        return []
    except exceptions.GoogleAPIError as error:
        raise PubSubUnavailable(f"Pub/Sub does not list the dead letters of {topic}: {str(error)[:300]}") from error
    return list(response.received_messages)


def peek(topic: str, limit: int) -> list[DeadLetter]:
    """Return up to ``limit`` dead letters of a topic and leave them in the subscription. Raises PubSubUnavailable."""
    received = _pull(topic, limit)
    if received:
        # A deadline of 0 returns them at once, so that the next pull gets them again.
        pubsub.subscriber().modify_ack_deadline(
            subscription=_path(topic), ack_ids=[letter.ack_id for letter in received], ack_deadline_seconds=0
        )
    return [_describe(topic, letter.message) for letter in received]


def replay(topic: str, limit: int, message_ids: frozenset[str] | None = None) -> tuple[list[str], int]:
    """Publish up to ``limit`` dead letters to their topic again; ``message_ids`` restricts it to these.

    Returns the ids of the published messages, and how many pulled messages stay. A message leaves the subscription
    once Pub/Sub has stored it again. Raises PubSubUnavailable if nothing could be published.
    """
    received = _pull(topic, limit)
    chosen = [letter for letter in received if message_ids is None or letter.message.message_id in message_ids]
    unsent = [letter.ack_id for letter in received if letter not in chosen]
    sent = [
        (letter, pubsub.send(topic, letter.message.data, _replayed(letter.message.attributes))) for letter in chosen
    ]
    published, failure = [], None
    for letter, future in sent:
        try:
            future.result(timeout=settings().publish_timeout_s)
            published.append(letter)
        except Exception as error:  # noqa: BLE001 — after any error the message stays in the subscription
            failure = error
            unsent.append(letter.ack_id)
    if published:
        pubsub.subscriber().acknowledge(subscription=_path(topic), ack_ids=[letter.ack_id for letter in published])
    if unsent:
        pubsub.subscriber().modify_ack_deadline(subscription=_path(topic), ack_ids=unsent, ack_deadline_seconds=0)
    if failure is not None and not published:
        raise pubsub.refused(failure)
    return [letter.message.message_id for letter in published], len(unsent)


def _original(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if not name.startswith(ADDED_PREFIX)}


def _replayed(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the original attributes, with the time of the first publication."""
    published_at = attributes.get(f"{ADDED_PREFIX}SourceTopicPublishTime")
    return ({PUBLISHED_AT: published_at} if published_at else {}) | _original(attributes)


def _describe(topic: str, message: Any) -> DeadLetter:
    attributes = dict(message.attributes)
    try:
        data = message.data.decode()
    except UnicodeDecodeError:
        data = base64.b64encode(message.data).decode()
    attempts = attributes.get(f"{ADDED_PREFIX}SourceDeliveryCount")
    return DeadLetter(
        topic=topic,
        message_id=message.message_id,
        subscription=attributes.get(f"{ADDED_PREFIX}SourceSubscription"),
        attempts=int(attempts) if attempts and attempts.isdigit() else None,
        published_at=message.publish_time.isoformat() if message.publish_time else "",
        attributes=_original(attributes),
        data=data,
    )
