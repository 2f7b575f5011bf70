"""Checks of requests, with the codes and texts of Google's emulator; where that checks nothing, the service's limits.

The functions raise a ``Refused``, or fill in the defaults that a stored resource shows.
"""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from local.pubsub import wire
from local.pubsub.errors import InvalidArgument, OutOfRange
from local.pubsub.filters import FilterError, parse_filter

MAX_PUBLISH_MESSAGES = 1000
MAX_PUBLISH_BYTES = 10_000_000
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_VALUE_BYTES = 1024
MAX_ORDERING_KEY_BYTES = 1024
MAX_ACK_DEADLINE_S = 600
DEFAULT_ACK_DEADLINE_S = 10
DEFAULT_RETENTION_S = 7 * 86_400
MIN_RETENTION_S, MAX_RETENTION_S = 600, 31 * 86_400
DEFAULT_BACKOFF_S = (10, 600)
MAX_BACKOFF_S = 600
MIN_DELIVERY_ATTEMPTS, MAX_DELIVERY_ATTEMPTS = 5, 100

TOPIC_FIELDS = frozenset(
    {"ingestion_data_source_settings", "kms_key_name", "labels", "message_retention_duration", "message_storage_policy"}
    | {"message_transforms", "schema_settings"}
)
SUBSCRIPTION_FIELDS = frozenset(
    {"ack_deadline_seconds", "dead_letter_policy", "enable_exactly_once_delivery", "expiration_policy", "labels"}
    | {"message_retention_duration", "push_config", "retain_acked_messages", "retry_policy"}
)
"""The fields that an update may change; a subscription's topic, ordering and filter are fixed."""

_RESOURCE = re.compile(r"projects/[^/]+/(?P<kind>topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9\-._~+%]{2,254}")


def check_name(name: str, kind: str) -> None:
    match = _RESOURCE.fullmatch(name)
    if match is None or match["kind"] != kind:
        raise InvalidArgument(f"Invalid [{kind}] name: (name={name})")


def check_project(name: str) -> None:
    if not re.fullmatch(r"projects/[^/]+", name):
        raise InvalidArgument(f"Invalid [projects] name: (name={name})")


def check_mask(request: str, kind: str, mutable: Collection[str], paths: Collection[str], message: Any) -> None:
    """Check an update's field mask. ``kind`` and ``request`` are names for the error text."""
    if not paths:
        raise InvalidArgument(f"The update_mask in the {request} must be set, and must contain a non-empty paths list.")
    for path in paths:
        if path in mutable:
            continue
        if kind == "Subscription" and path in message.DESCRIPTOR.fields_by_name:
            why = f"the {path} field in the {kind} is not mutable."
        else:
            why = f"{path} is not a known {kind} field. Note that field paths are of the form 'a_b', not 'aB'."
        raise InvalidArgument(f"Invalid update_mask provided in the {request}: {why}")


def copy_fields(source: Any, target: Any, paths: Collection[str]) -> None:
    """Set the named top-level fields of ``target`` to those of ``source``."""
    for path in paths:
        target.ClearField(path)
        picked = type(source)()
        picked.CopyFrom(source)
        for field in source.DESCRIPTOR.fields_by_name:
            if field != path:
                picked.ClearField(field)
        target.MergeFrom(picked)


def check_topic(topic: Any) -> None:
    check_name(topic.name, "topics")
    if topic.HasField("message_retention_duration"):
        _check_retention(topic.message_retention_duration)


def check_subscription(subscription: Any) -> None:
    """Check a subscription's settings and fill in defaults."""
    check_name(subscription.name, "subscriptions")
    if not 0 <= subscription.ack_deadline_seconds <= MAX_ACK_DEADLINE_S:
        raise InvalidArgument("ack_deadline_secs out of bounds")
    subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or DEFAULT_ACK_DEADLINE_S
    if subscription.HasField("message_retention_duration"):
        _check_retention(subscription.message_retention_duration)
    else:
        subscription.message_retention_duration.seconds = DEFAULT_RETENTION_S
    check_push_config(subscription.push_config)
    subscription.push_config.SetInParent()
    if subscription.HasField("retry_policy"):
        _check_retry_policy(subscription.retry_policy)
    if subscription.HasField("dead_letter_policy"):
        _check_dead_letter_policy(subscription.dead_letter_policy)
    if subscription.filter:
        try:
            parse_filter(subscription.filter)
        except FilterError as error:
            raise InvalidArgument(f"Invalid filter: {error}") from error


def check_push_config(config: Any) -> None:
    if not config.push_endpoint:
        return
    try:
        parts = urlsplit(config.push_endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not config.push_endpoint.isascii() or any(c.isspace() for c in config.push_endpoint):
        raise InvalidArgument("Unsupported push_endpoint")


def check_publish(messages: Any, size: int) -> None:
    """Check a publish request's messages; ``size`` is the size of the request in bytes."""
    if not messages:
        raise InvalidArgument("No messages to publish")
    if len(messages) > MAX_PUBLISH_MESSAGES:
        raise InvalidArgument("Too many messages to publish")
    # the limit is on the messages; a request is a few bytes larger than their sum
    if size > MAX_PUBLISH_BYTES and sum(message.ByteSize() for message in messages) > MAX_PUBLISH_BYTES:
        raise InvalidArgument(f"Publish requests are limited to {MAX_PUBLISH_BYTES} bytes")
    for message in messages:
        attributes = message.attributes
        if not message.data and not attributes:
            raise InvalidArgument("Some messages are empty")
        if attributes:
            _check_attributes(attributes)
        if len(message.ordering_key.encode()) > MAX_ORDERING_KEY_BYTES:
            raise InvalidArgument(f"An ordering key has at most {MAX_ORDERING_KEY_BYTES} bytes")


def _check_attributes(attributes: Any) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidArgument(f"A message has at most {MAX_ATTRIBUTES} attributes")
    for key, value in attributes.items():
        if not key or len(key.encode()) > MAX_ATTRIBUTE_KEY_BYTES:
            raise InvalidArgument(f"An attribute key has 1 to {MAX_ATTRIBUTE_KEY_BYTES} bytes")
        if key.startswith("goog"):
            raise InvalidArgument("An attribute key must not start with goog")
        if len(value.encode()) > MAX_ATTRIBUTE_VALUE_BYTES:
            raise InvalidArgument(f"An attribute value has at most {MAX_ATTRIBUTE_VALUE_BYTES} bytes")


def _check_retention(duration: Any) -> None:
    if not MIN_RETENTION_S <= wire.seconds(duration) <= MAX_RETENTION_S:
        raise InvalidArgument("message_retention_duration out of bounds")


def _check_retry_policy(policy: Any) -> None:
    default_minimum_s, default_maximum_s = DEFAULT_BACKOFF_S
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = default_minimum_s
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = default_maximum_s
    for field in ("minimum_backoff", "maximum_backoff"):
        value = wire.seconds(getattr(policy, field))
        if not 0 <= value <= MAX_BACKOFF_S:
            raise InvalidArgument(
                f"The value for {field} is out of bounds. You passed {value:g}s in the request, but the value must be "
                f"between 0s and {MAX_BACKOFF_S}s."
            )
    minimum_s, maximum_s = wire.seconds(policy.minimum_backoff), wire.seconds(policy.maximum_backoff)
    if maximum_s < minimum_s:
        raise InvalidArgument(
            f"The value for maximum_backoff is too small. You passed {maximum_s:g}s in the request, but the minimum "
            f"value is {minimum_s:g}s."
        )


def _check_dead_letter_policy(policy: Any) -> None:
    attempts = policy.max_delivery_attempts or MIN_DELIVERY_ATTEMPTS
    if attempts < MIN_DELIVERY_ATTEMPTS:
        raise OutOfRange(
            f"The value for max_delivery_attempts is too small. You passed {attempts} in the request, but the minimum "
            f"value is {MIN_DELIVERY_ATTEMPTS}."
        )
    if attempts > MAX_DELIVERY_ATTEMPTS:
        raise OutOfRange(
            f"The value for max_delivery_attempts is too large. You passed {attempts} in the request, but the maximum "
            f"value is {MAX_DELIVERY_ATTEMPTS}."
        )
    policy.max_delivery_attempts = attempts
