"""Messages on the topics: their schemas and attributes, and reading them from a CloudEvent.

A ``user-events/1`` message holds the events of one request (1 to 500) of one user::

    {"user_id": "u1", "events": [{"event_id", "product_id", "event_type", "timestamp", "session_id", "metadata"}],
     "vouched": false, "client": "00c0ffee00c0ffee", "crawler": false}

An event may have ``external_id``, the shop's own id of the product, instead of ``product_id``.

The last three determine how much the events count (``shared/domain/counting.py``). A message without ``vouched`` is
from the release before these fields, and counts in full as it did there.

A ``catalog-changes/1`` message names the products that changed. ``stock`` means that they only sold out or came back
into stock, ``search`` that they did not change but must be reindexed, and ``content`` that only their embeddings must
be recomputed::

    {"product_ids": [1, 2], "change": "updated" | "created" | "deleted" | "stock" | "search" | "content"}
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.domain.json_values import escaped_text, without_depths
from shared.event_origin import Origin

USER_EVENTS: Final = "user-events"
CATALOG_CHANGES: Final = "catalog-changes"
USER_EVENTS_SCHEMA: Final = "user-events/1"
CATALOG_CHANGES_SCHEMA: Final = "catalog-changes/1"
SCHEMAS: Final = {USER_EVENTS: USER_EVENTS_SCHEMA, CATALOG_CHANGES: CATALOG_CHANGES_SCHEMA}
# Attribute with the original time of a message that was first published, or written to the outbox, before Pub/Sub's
# publish time.
PUBLISHED_AT: Final = "published_at"
# Attribute with the time when a dead letter was republished.
REPLAYED_AT: Final = "replayed_at"
# Pub/Sub's ids have about twenty digits; index entries are limited in length.
MAX_MESSAGE_ID_CHARACTERS: Final = 255
# Python refuses to convert more digits to an integer.
MAX_DIGITS: Final = 4_300


class UnreadableMessage(ValueError):
    """A CloudEvent without a readable message, which no retry can fix; ``str`` gives the reason."""


@dataclass(frozen=True)
class Message:
    """A delivered message. ``body`` is its decoded JSON; None if it is not JSON or has a different schema.

    ``published_at`` is when it was first published: by Pub/Sub's clock, or by the attribute of that name if the message
    waited in the outbox or was a dead letter. None if the envelope has no time.
    """

    id: str
    attributes: Mapping[str, str]
    body: Any
    raw: bytes
    published_at: datetime | None = None


def user_events(
    user_id: str,
    events: Sequence[Mapping[str, Any]],
    traceparent: str | None = None,
    origin: Origin | None = None,
    *,
    published_at: datetime | None = None,
) -> tuple[bytes, dict[str, str]]:
    """Return the data and attributes of a message with events of one user; without ``origin`` they count in full.

    ``published_at`` is for a message published later than it is written.
    """
    types = {str(event["event_type"]) for event in events}
    attributes = {
        "schema": USER_EVENTS_SCHEMA,
        "user_id": user_id,
        "event_types": ",".join(sorted(types)),
        "has_purchase": "true" if "purchase" in types else "false",
    }
    if traceparent:
        attributes["traceparent"] = traceparent
    if published_at is not None:
        attributes[PUBLISHED_AT] = published_at.isoformat()
    body: dict[str, Any] = {"user_id": user_id, "events": events}
    if origin is not None:
        body |= {"vouched": origin.vouched, "client": origin.client, "crawler": origin.crawler}
    return orjson.dumps(body), attributes


def catalog_changes(product_ids: Sequence[int], change: str) -> tuple[bytes, dict[str, str]]:
    """Return the data and attributes of a message that names changed products."""
    return orjson.dumps({"product_ids": list(product_ids), "change": change}), {"schema": CATALOG_CHANGES_SCHEMA}


def envelope_of(event: Any) -> dict[str, Any] | None:
    """Return the message of a Pub/Sub CloudEvent as it was delivered; None if the event carries none."""
    message = event.data.get("message") if isinstance(event.data, dict) else None
    return message if isinstance(message, dict) else None


def attributes_of(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message's attributes, which nothing outside this code has validated."""
    given = envelope.get("attributes")
    return given if isinstance(given, dict) else {}


def published_at(envelope: Mapping[str, Any]) -> datetime | None:
    """Return when a message was first published, as ``Message.published_at``."""
    return _time(
        attributes_of(envelope).get(PUBLISHED_AT) or envelope.get("publishTime") or envelope.get("publish_time")
    )


def read(event: Any, schema: str) -> Message:
    """Return the message of a Pub/Sub CloudEvent. Raises UnreadableMessage if the event carries none."""
    message = envelope_of(event)
    if message is None:
        raise UnreadableMessage("the CloudEvent carries no Pub/Sub message")
    message_id = storable_id(message.get("messageId") or message.get("message_id") or event["id"])
    attributes = attributes_of(message)
    first_published = published_at(message)
    try:
        raw = base64.b64decode(message.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return Message(message_id, attributes, None, b"", first_published)
    if attributes.get("schema") != schema:
        return Message(message_id, attributes, None, raw, first_published)
    return Message(message_id, attributes, _json(raw), raw, first_published)


def storable_id(message_id: Any) -> str:
    """Return a message id in a form that Postgres can store and index."""
    return escaped_text(str(message_id))[:MAX_MESSAGE_ID_CHARACTERS]


def permanent_fault(topic: str, attributes: Mapping[str, str], data: bytes) -> str | None:
    """Return why no subscriber of the topic can ever read a message; None if one may."""
    if attributes.get("schema") != SCHEMAS[topic]:
        return f"the attribute schema is not {SCHEMAS[topic]}"
    return "the data is not a JSON object" if not isinstance(_json(data), dict) else None


def _json(raw: bytes) -> Any:
    """Return the JSON value of a message's data; None if it is not JSON.

    Documents that the strict parser rejects are parsed leniently: a lone surrogate, a control character, an invalid
    byte or a value nested too deeply then invalidates only the event that contains it, not the events beside it.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        text = raw.decode(json.detect_encoding(raw), "surrogateescape")
        return json.loads(without_depths(text), strict=False, parse_int=_integer)
    except ValueError:
        return None


def _integer(digits: str) -> int | float:
    """Return the number; infinity, which no event may contain, if it is longer than Python reads."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _time(text: Any) -> datetime | None:
    """Return the time, with its zone, that a text represents; None if it is not one."""
    try:
        time = datetime.fromisoformat(text)
        # In UTC, because a time that is out of range there cannot be sent to Postgres.
        return time.astimezone(UTC) if time.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None
