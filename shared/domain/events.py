"""What a user did: event types, their weights, and what makes an event valid."""

import os
import re
import time
import unicodedata
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID, uuid5

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_EVENTS_PER_REQUEST: Final = 500
MAX_METADATA_BYTES: Final = 4096
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
MAX_CLOCK_SKEW: Final = timedelta(minutes=10)
# event ids that are not UUIDs become one under this namespace
EVENT_ID_NAMESPACE: Final = UUID("5f0c9a52-6c0b-4c39-9b7e-2f6f6a1f0d11")


class EventType(StrEnum):
    """What happened between a user and a product."""

    VIEW = "view"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    WISHLIST = "wishlist"
    SEARCH = "search"
    REMOVE_FROM_CART = "remove_from_cart"
    RECOMMENDATION_CLICK = "recommendation_click"


# The one home of the weights. A type that says nothing good of the product weighs nothing.
EVENT_WEIGHTS: Final[dict[EventType, float]] = {
    EventType.VIEW: 1.0,
    EventType.ADD_TO_CART: 3.0,
    EventType.PURCHASE: 5.0,
    EventType.WISHLIST: 2.0,
    EventType.RECOMMENDATION_CLICK: 1.0,
    EventType.SEARCH: 0.0,
    EventType.REMOVE_FROM_CART: 0.0,
}


def printable(text: str) -> str:
    """Return ``text`` if all can hold it; raise ValueError on control characters other than tab and newline."""
    if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r" for c in text):
        raise ValueError("must not contain control characters")
    return text


def storable_json(value: Any) -> Any:
    """Return ``value`` if jsonb can hold it; raise ValueError on NUL or lone surrogates anywhere in it."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("must not contain NUL or lone surrogates")
    elif isinstance(value, dict):
        for key, inner in value.items():
            storable_json(key)
            storable_json(inner)
    elif isinstance(value, list):
        for inner in value:
            storable_json(inner)
    elif isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise ValueError("must not contain NaN or infinity")
    return value


def small(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return ``metadata`` if it is at most MAX_METADATA_BYTES as JSON; raise ValueError otherwise."""
    try:
        size = len(orjson.dumps(metadata))
    except orjson.JSONEncodeError as error:
        raise ValueError(f"cannot be stored: {error}") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes of JSON")
    return metadata


Text = Annotated[str, AfterValidator(printable)]
UserId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    AfterValidator(printable),
    Field(description="the shop's own id of the user, or one made by the browser"),
]
ProductId = Annotated[int, Field(ge=1, le=2**53 - 1, description="the product's id")]


def parse_timestamp(value: datetime) -> datetime:
    """Return ``value`` in UTC; raise ValueError before 2000 or further ahead than clocks differ."""
    value = value.astimezone(UTC)
    if value < EARLIEST:
        raise ValueError("must not be before 2000")
    if value > datetime.now(UTC) + MAX_CLOCK_SKEW:
        raise ValueError("must not be in the future")
    return value


def not_a_number(value: object) -> object:
    """Refuse epoch numbers: whether they are seconds or milliseconds is a guess."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.fullmatch(r"[\d.+-]+", value)):
        raise ValueError("must be an ISO 8601 time with a zone, such as 2026-01-31T12:00:00Z")
    return value


class Event(BaseModel):
    """One event as clients send it. ``quantity`` of a purchase is metadata's ``quantity``, 1 where there is none."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"user_id": "browser-7f3a", "product_id": 42, "event_type": "view"}]},
    )

    user_id: UserId
    product_id: Annotated[int, Field(ge=1, le=2**53 - 1, strict=True)] | None = None
    event_type: EventType
    timestamp: Annotated[AwareDatetime, AfterValidator(parse_timestamp)] | None = None
    session_id: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)] | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(storable_json), AfterValidator(small)] | None = None
    event_id: Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(printable)] | None = None

    @model_validator(mode="before")
    @classmethod
    def iso_time(cls, values: object) -> object:
        """Refuse epoch numbers as timestamps before Pydantic guesses their unit."""
        if isinstance(values, dict) and values.get("timestamp") is not None:
            not_a_number(values["timestamp"])
        return values

    @model_validator(mode="after")
    def has_product(self) -> "Event":
        """Require a product for everything but a search."""
        if self.product_id is None and self.event_type is not EventType.SEARCH:
            raise ValueError("product_id is required, except for a search")
        return self


def event_key(event_id: str) -> UUID:
    """Return the id under which an event counts once: the UUID itself, or one derived from any other string."""
    try:
        return UUID(event_id)
    except ValueError:
        return uuid5(EVENT_ID_NAMESPACE, event_id)


def uuid7() -> UUID:
    """Return a new time-ordered id (RFC 9562, version 7): index inserts stay at the right edge of the tree."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
