"""Messages that were not taken after all attempts: looked at, and published again to where they came from.

Each topic has a subscription ``<topic>-dead-letter`` that keeps them. Taking effect is exactly once, so a message may
be published again to all subscriptions of its topic, also to those that took it at first.
"""

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from shared.clients import closed_on_reset, pubsub
from shared.errors import PubSubUnavailable
from shared.settings import settings

SUFFIX: Final = "-dead-letter"
# what Pub/Sub adds when it gives up
ADDED: Final = "CloudPubSubDeadLetter"
PULL_TIMEOUT_S: Final = 3.0


class DeadLetter(NamedTuple):
    """A message that waits; ``data`` is text where it is UTF-8, otherwise base64."""

    topic: str
    message_id: str
    subscription: str | None
    attempts: int | None
    published_at: str
    attributes: dict[str, str]
    data: str


@cache
def subscriber() -> Any:
    """Return the process's subscriber."""
    from google.cloud import pubsub_v1

    return pubsub_v1.SubscriberClient()


@closed_on_reset
def close() -> None:
    """Close the subscriber and forget it."""
    if subscriber.cache_info().currsize:
        subscriber().close()
    subscriber.cache_clear()


def _path(topic: str) -> str:
    return f"projects/{settings().require('google_cloud_project')}/subscriptions/{topic}{SUFFIX}"


def _pull(topic: str, most: int) -> list[Any]:
    from google.api_core import exceptions

    try:
        answer = subscriber().pull(subscription=_path(topic), max_messages=most, timeout=PULL_TIMEOUT_S, retry=None)
    except exceptions.DeadlineExceeded:
        # an empty subscription waits for its next message
        return []
    except exceptions.GoogleAPIError as error:
        raise PubSubUnavailable(f"Pub/Sub does not show the dead letters of {topic}: {str(error)[:300]}") from error
    return list(answer.received_messages)


def waiting(topic: str, most: int) -> list[DeadLetter]:
    """Return up to ``most`` that wait, and leave them there."""
    found = _pull(topic, most)
    if found:
        # given back at once: the next look, or a replay, sees them again
        subscriber().modify_ack_deadline(
            subscription=_path(topic), ack_ids=[one.ack_id for one in found], ack_deadline_seconds=0
        )
    return [_letter(topic, one.message) for one in found]


def replay(topic: str, most: int, message_ids: frozenset[str] | None = None) -> tuple[list[str], int]:
    """Publish up to ``most`` again (only those of ``message_ids``, where given) to their topic.

    Returns the ids of what was published, and how many were left. A message is taken out once Pub/Sub has it again;
    what fails stays. Raises PubSubUnavailable when nothing could be published.
    """
    found = _pull(topic, most)
    chosen = [one for one in found if message_ids is None or one.message.message_id in message_ids]
    rest = [one.ack_id for one in found if one not in chosen]
    sent = [(one, pubsub.send(topic, one.message.data, _original(one.message.attributes))) for one in chosen]
    done, failure = [], None
    for one, future in sent:
        try:
            future.result(timeout=settings().publish_timeout_s)
            done.append(one)
        except Exception as error:  # noqa: BLE001 — whatever it was, the message stays where it is
            failure = error
            rest.append(one.ack_id)
    if done:
        subscriber().acknowledge(subscription=_path(topic), ack_ids=[one.ack_id for one in done])
    if rest:
        subscriber().modify_ack_deadline(subscription=_path(topic), ack_ids=rest, ack_deadline_seconds=0)
    if failure is not None and not done:
        raise pubsub.refused(failure)
    return [one.message.message_id for one in done], len(rest)


def _original(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if not name.startswith(ADDED)}


def _letter(topic: str, message: Any) -> DeadLetter:
    attributes = dict(message.attributes)
    try:
        data = message.data.decode()
    except UnicodeDecodeError:
        data = base64.b64encode(message.data).decode()
    attempts = attributes.get(f"{ADDED}SourceDeliveryCount")
    return DeadLetter(
        topic=topic,
        message_id=message.message_id,
        subscription=attributes.get(f"{ADDED}SourceSubscription"),
        attempts=int(attempts) if attempts and attempts.isdigit() else None,
        published_at=message.publish_time.isoformat() if message.publish_time else "",
        attributes=_original(attributes),
        data=data,
    )
