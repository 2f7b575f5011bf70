"""Dead letters: messages whose delivery failed at every attempt, listed and republished to their original topic.

Each topic has a subscription ``<topic>-dead-letter`` that holds them. A message takes effect exactly once, so it may go
again to all subscriptions of its topic, including those that have already processed it. A republished message carries
the attribute REPLAYED_AT; the job ``replay_dead_letters`` republishes each message once, and leaves those that return.
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
# Prefix of the attributes that Pub/Sub adds to a dead letter.
ADDED_PREFIX: Final = "CloudPubSubDeadLetter"
PULL_TIMEOUT_S: Final = 3.0
PULL_BATCH: Final = 1000
# Maximum messages republished per run of the job; the next run continues.
MAX_NEW: Final = 20_000


class DeadLetter(NamedTuple):
    """A dead letter; ``data`` is text if it is valid UTF-8, otherwise base64.

    ``replayed_at`` is when it was last republished, or None. ``permanent_fault`` is the reason why no subscriber can
    ever read it, or None.
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
        # A pull from an empty subscription waits for the next message until it times out.
        return []
    except exceptions.GoogleAPIError as error:
        raise PubSubUnavailable(f"Pub/Sub does not list the dead letters of {topic}: {str(error)[:300]}") from error
    return list(response.received_messages)


def peek(topics: Sequence[str], limit: int) -> list[DeadLetter]:
    """Return up to ``limit`` dead letters of each topic and leave them in place. Raises PubSubUnavailable.

    The topics are pulled concurrently, because a pull from an empty subscription lasts until Pub/Sub stops waiting, at
    most PULL_TIMEOUT_S.
    """
    pubsub.subscriber()  # created once, not by each thread
    with ThreadPoolExecutor(len(topics), thread_name_prefix="dead-letters") as pool:
        # Each with a copy of the context, so that its log lines name the request.
        futures = [pool.submit(copy_context().run, _peek, topic, limit) for topic in topics]
        return [letter for future in futures for letter in future.result()]


def _peek(topic: str, limit: int) -> list[DeadLetter]:
    received = _pull(topic, limit)
    _release(topic, received)
    return [_describe(topic, letter.message) for letter in received]


def replay(topic: str, limit: int, message_ids: frozenset[str] | None = None) -> tuple[list[str], int]:
    """Republish up to ``limit`` dead letters to their topic, or only those among them in ``message_ids``.

    Returns the ids of the published messages, and how many pulled messages remain. A message is removed from the
    subscription once Pub/Sub has stored it again. Raises PubSubUnavailable if nothing could be published.
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
    """Republish the dead letters of a topic that were never replayed before and that a subscriber can read.

    Returns how many were published, about MAX_NEW at most, and how many pulled ones remain. Raises PubSubUnavailable if
    Pub/Sub accepts none.
    """
    done, left = 0, dict[str, Any]()
    failure: Exception | None = None
    while done < MAX_NEW and failure is None:
        received = [letter for letter in _pull(topic, PULL_BATCH) if letter.message.message_id not in left]
        if not received:
            break
        published, failure = _publish(topic, [letter for letter in received if _is_new(topic, letter.message)])
        done += len(published)
        # Held until the end, because a released letter would come back with the next pull.
        left |= {letter.message.message_id: letter for letter in received if letter not in published}
    _release(topic, list(left.values()))
    if failure is not None and not done:
        raise pubsub.refused(failure)
    return done, len(left)


def _is_new(topic: str, message: Any) -> bool:
    return REPLAYED_AT not in message.attributes and permanent_fault(topic, message.attributes, message.data) is None


def _publish(topic: str, letters: Sequence[Any]) -> tuple[list[Any], Exception | None]:
    """Republish letters and acknowledge those that Pub/Sub stored; return these and the last failure, or None.

    After the first letter that cannot be sent, no more are sent; those sent before it are still awaited.
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
            # They are delivered and republished again, which has no effect; publish no more until then.
            failure = error
    return published, failure


def _release(topic: str, letters: Sequence[Any]) -> None:
    """Return letters to the subscription at once, with an ack deadline of 0, so that the next pull gets them again."""
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
    """Return the original attributes plus the times of the first publication and of this one."""
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
