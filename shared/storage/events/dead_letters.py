"""Dead letters: messages that no attempt delivered, listed and published again to the topic that they came from.

Each topic has a subscription ``<topic>-dead-letter`` that holds them. A message takes effect exactly once, so it may go
again to all subscriptions of its topic, including those that had already processed it. A message that is published
again carries the attribute REPLAYED_AT: the job ``replay_dead_letters`` does so once, and leaves what comes back.
"""

import base64
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from shared.clients import pubsub
from shared.errors import PubSubUnavailable
from shared.messages import PUBLISHED_AT, REPLAYED_AT, permanent_fault
from shared.settings import settings

log = logging.getLogger(__name__)

SUFFIX: Final = "-dead-letter"
# the prefix of the attributes that Pub/Sub adds to a dead letter
ADDED_PREFIX: Final = "CloudPubSubDeadLetter"
PULL_TIMEOUT_S: Final = 3.0
PULL_BATCH: Final = 1000
# of one run of the job; the next run continues
MAX_NEW: Final = 20_000


class DeadLetter(NamedTuple):
    """A dead letter; ``data`` is text if it is valid UTF-8, otherwise base64.

    ``replayed_at`` is when it was last published again, None if it never was. ``permanent_fault`` is why no subscriber
    can read it, None if one may.
    """

    topic: str
    message_id: str
    subscription: str | None
    attempts: int | None
    published_at: str
    replayed_at: str | None
    permanent_fault: str | None
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


def peek(topics: Sequence[str], limit: int) -> list[DeadLetter]:
    """Return up to ``limit`` dead letters of each topic and leave them waiting. Raises PubSubUnavailable.

    The topics are asked at once: a pull from an empty subscription lasts until Pub/Sub gives up waiting, at most
    PULL_TIMEOUT_S.
    """
    pubsub.subscriber()  # made once, not by each thread
    with ThreadPoolExecutor(len(topics), thread_name_prefix="dead-letters") as pool:
        # each with a copy of the context, which names the request in log lines
        futures = [pool.submit(copy_context().run, _peek, topic, limit) for topic in topics]
        return [letter for future in futures for letter in future.result()]


def _peek(topic: str, limit: int) -> list[DeadLetter]:
    received = _pull(topic, limit)
    _release(topic, received)
    return [_describe(topic, letter.message) for letter in received]


def replay(topic: str, limit: int, message_ids: frozenset[str] | None = None) -> tuple[list[str], int]:
    """Publish up to ``limit`` dead letters to their topic again; ``message_ids`` restricts it to these.

    Returns the ids of the published messages, and how many pulled messages stay. A message leaves the subscription
    once Pub/Sub has stored it again. Raises PubSubUnavailable if nothing could be published.
    """
    received = _pull(topic, limit)
    chosen = [letter for letter in received if message_ids is None or letter.message.message_id in message_ids]
    published, failure = _publish(topic, chosen)
    left = [letter for letter in received if letter not in published]
    _release(topic, left)
    if failure is not None and not published:
        raise pubsub.refused(failure)
    return [letter.message.message_id for letter in published], len(left)


def replay_new(topic: str) -> tuple[int, int]:
    """Publish the dead letters of a topic that never were replayed and that a subscriber can read.

    Returns the numbers of those published, at most MAX_NEW, and of those left. Raises PubSubUnavailable if Pub/Sub
    takes none.
    """
    done, left = 0, dict[str, Any]()
    failure: Exception | None = None
    while done < MAX_NEW and failure is None:
        received = [letter for letter in _pull(topic, PULL_BATCH) if letter.message.message_id not in left]
        if not received:
            break
        published, failure = _publish(topic, [letter for letter in received if _is_new(topic, letter.message)])
        done += len(published)
        # kept until the end: a letter that is released comes with the next pull
        left |= {letter.message.message_id: letter for letter in received if letter not in published}
    _release(topic, list(left.values()))
    if failure is not None and not done:
        raise pubsub.refused(failure)
    return done, len(left)


def _is_new(topic: str, message: Any) -> bool:
    return REPLAYED_AT not in message.attributes and permanent_fault(topic, message.attributes, message.data) is None


def _publish(topic: str, letters: Sequence[Any]) -> tuple[list[Any], Exception | None]:
    """Publish letters again and take those that Pub/Sub stored from the subscription; return them, and a failure.

    After the first letter that Pub/Sub refuses, none is sent: those that were sent before it must still be waited for.
    """
    from google.api_core.exceptions import GoogleAPIError

    now = datetime.now(UTC).isoformat()
    sent: list[tuple[Any, Future[str]]] = []
    published: list[Any] = []
    failure: Exception | None = None
    for letter in letters:
        try:
            future = pubsub.send(topic, letter.message.data, _replayed(letter.message.attributes, now))
        except PubSubUnavailable as error:
            failure = error
            break
        sent.append((letter, future))
    for letter, future in sent:
        try:
            future.result(timeout=settings().publish_timeout_s)
            published.append(letter)
        except Exception as error:  # noqa: BLE001 — after any error the message stays in the subscription
            failure = error
    if published:
        try:
            pubsub.subscriber().acknowledge(subscription=_path(topic), ack_ids=[letter.ack_id for letter in published])
        except GoogleAPIError as error:
            # they come again and are published again, which changes nothing; no further ones until then
            failure = error
    return published, failure


def _release(topic: str, letters: Sequence[Any]) -> None:
    """Return letters to the subscription at once, by a deadline of 0, so that the next pull gets them again."""
    from google.api_core.exceptions import GoogleAPIError

    try:
        for start in range(0, len(letters), PULL_BATCH):
            ids = [letter.ack_id for letter in letters[start : start + PULL_BATCH]]
            pubsub.subscriber().modify_ack_deadline(subscription=_path(topic), ack_ids=ids, ack_deadline_seconds=0)
    except GoogleAPIError as error:
        log.info("dead letters return at their deadline", extra={"topic": topic, "error": str(error)[:200]})


def _original(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if not name.startswith(ADDED_PREFIX)}


def _replayed(attributes: Mapping[str, str], now: str) -> dict[str, str]:
    """Return the original attributes, with the times of the first publication and of this one."""
    published_at = attributes.get(f"{ADDED_PREFIX}SourceTopicPublishTime")
    return ({PUBLISHED_AT: published_at} if published_at else {}) | _original(attributes) | {REPLAYED_AT: now}


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
        replayed_at=attributes.get(REPLAYED_AT),
        permanent_fault=permanent_fault(topic, attributes, message.data),
        attributes=_original(attributes),
        data=data,
    )
