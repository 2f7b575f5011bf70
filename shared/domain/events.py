"""Events: what a user did with a product. Their types, weights and validity, and the ids under which they count."""

import os
import re
import time
import unicodedata
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID, uuid5

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from shared.domain.json_values import storable_json
from shared.domain.quantities import event_quantity
from shared.domain.shared_ids import own_id
from shared.domain.text import nfc

MAX_EVENTS_PER_REQUEST: Final = 500
MAX_METADATA_BYTES: Final = 4096
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
MAX_CLOCK_SKEW: Final = timedelta(minutes=10)
# An event further in the future than MAX_CLOCK_SKEW, but no further than this, is taken to have happened now on a wrong
# clock.
MAX_AHEAD: Final = timedelta(days=1)
# A difference between a request's sent_at and its arrival that network latency can explain.
MAX_TRANSIT: Final = timedelta(minutes=1)
# The version of UUIDs that no client's ids can have.
PERSONAL_VERSION: Final = 8
# Event ids that are not UUIDs are converted to UUIDs under this namespace: never change it.
EVENT_ID_NAMESPACE: Final = UUID("5f0c9a52-6c0b-4c39-9b7e-2f6f6a1f0d11")


class EventType(StrEnum):
    """What a user did. A `search`, a `custom` event and the `refund` of a whole order name no product."""

    VIEW = "view"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    WISHLIST = "wishlist"
    SEARCH = "search"
    REMOVE_FROM_CART = "remove_from_cart"
    RECOMMENDATION_CLICK = "recommendation_click"
    REFUND = "refund"
    CUSTOM = "custom"


# The weights are defined only here. A type that does not signal interest has weight 0.
EVENT_WEIGHTS: Final[dict[EventType, float]] = {
    EventType.VIEW: 1.0,
    EventType.ADD_TO_CART: 3.0,
    EventType.PURCHASE: 5.0,
    EventType.WISHLIST: 2.0,
    EventType.RECOMMENDATION_CLICK: 1.0,
    EventType.SEARCH: 0.0,
    EventType.REMOVE_FROM_CART: 0.0,
    EventType.REFUND: 0.0,
    EventType.CUSTOM: 0.0,
}
WITHOUT_PRODUCT: Final = frozenset({EventType.SEARCH, EventType.REFUND, EventType.CUSTOM})

# Events about pieces: their metadata may have a quantity.
WITH_QUANTITY: Final = frozenset(
    {EventType.PURCHASE, EventType.ADD_TO_CART, EventType.REMOVE_FROM_CART, EventType.REFUND}
)


def printable(text: str) -> str:
    """Return ``text``; raise ValueError if it has control characters other than tab, line feed and carriage return."""
    if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r" for c in text):
        raise ValueError("must not contain control characters")
    return text


def small(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return ``metadata``; raise ValueError if it is longer than MAX_METADATA_BYTES as JSON."""
    try:
        size = len(orjson.dumps(metadata))
    except orjson.JSONEncodeError as error:
        raise ValueError(f"cannot be stored: {error}") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes of JSON")
    return metadata


# A text without control characters.
Text = Annotated[str, AfterValidator(printable)]
# The id of any stored user, including ids that only earlier releases accepted.
StoredUserId = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)]
UserId = Annotated[
    StoredUserId,
    AfterValidator(own_id),
    Field(
        description="Id of the user: an account's (`acct_…`), a guest's (`guest_…`), the shop's own, or one that the "
        "browser generated. `undefined`, `null` and the like are refused."
    ),
]
# The largest integer that every JSON parser represents exactly.
MAX_ID: Final = 2**53 - 1
# In a query string, text is parsed as a number. In JSON, where a string may be the shop's own id, only a number is an
# Aisle id.
ProductId = Annotated[int, Field(ge=1, le=MAX_ID, description="Id of the product.")]
JsonId = Annotated[int, Field(ge=1, le=MAX_ID, strict=True)]
ExternalId = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255, strict=True),
    AfterValidator(printable),
    nfc(255),
    Field(description="The shop's own id of the product, such as a stock code."),
]


def in_utc(value: datetime) -> datetime:
    """Return ``value`` in UTC; raise ValueError if that is outside the calendar, as for 9999-12-31T23:59-23:59."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be within the years 1 to 9999 in UTC") from None


# A time with a time zone that Postgres can store and return.
ZonedTime = Annotated[AwareDatetime, AfterValidator(in_utc)]


def parse_timestamp(value: datetime, sent_at: datetime | None = None) -> datetime:
    """Return the time of an event in UTC; raise ValueError before 2000 or more than MAX_AHEAD in the future.

    ``sent_at`` is when the sender sent it, by the sender's clock. If that clock deviates by more than MAX_TRANSIT, the
    time is corrected by the deviation.
    """
    value, now = in_utc(value), datetime.now(UTC)
    if sent_at is not None and abs(now - sent_at) > MAX_TRANSIT:
        try:
            value += now - sent_at
        except OverflowError:
            raise ValueError("must be within the years 1 to 9999 by the clock of sent_at") from None
    if value < EARLIEST:
        raise ValueError("must not be before 2000")
    if value > now + MAX_AHEAD:
        raise ValueError("must not be in the future; send sent_at too if the clock may be wrong")
    return value


def clamped(value: datetime, now: datetime) -> datetime:
    """Return the time of an event, or ``now`` if that time is further in the future than clocks usually differ."""
    return now if value > now + MAX_CLOCK_SKEW else value


def not_a_number(value: object) -> object:
    """Return ``value``; raise ValueError for epoch numbers, which may be seconds or milliseconds."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.fullmatch(r"[\d.+-]+", value)):
        raise ValueError("must be an ISO 8601 time with a zone, such as 2026-01-31T12:00:00Z")
    return value


class EventFields(BaseModel):
    """The fields that all reports about a user have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: UserId
    # Declared before the fields whose rules depend on it.
    event_type: EventType = Field(description="What the user did.")
    # Declared before timestamp, which it corrects. Epoch numbers are rejected before Pydantic guesses their unit.
    sent_at: Annotated[AwareDatetime, BeforeValidator(not_a_number), AfterValidator(in_utc)] | None = Field(
        None,
        description="When the client sent the request, by its own clock. If that clock is wrong, `timestamp` is "
        "corrected by the difference.",
    )
    timestamp: Annotated[AwareDatetime, BeforeValidator(not_a_number), AfterValidator(in_utc)] | None = Field(
        None,
        description="When it happened, in ISO 8601 with a time zone. If omitted, or up to a day in the future, the "
        "time of the request is used.",
    )
    session_id: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)] | None = (
        Field(None, description="The client's id of the visit.")
    )
    metadata: Annotated[dict[str, Any], AfterValidator(storable_json), AfterValidator(small)] | None = Field(
        None,
        description="Further facts, at most 4,096 bytes of JSON. `quantity`, of a purchase or a change of the cart, is "
        "a whole number of at least 1.",
    )
    event_id: Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(printable)] | None = Field(
        None,
        description="The client's own id of the event; events of one person with the same id count once. If omitted, "
        "generated.",
    )

    @field_validator("timestamp")
    @classmethod
    def is_possible(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        """Correct the time by ``sent_at``, and require that it is possible."""
        return value if value is None else parse_timestamp(value, info.data.get("sent_at"))


class Event(EventFields):
    """What a user did with a product. The quantity of a purchase is `metadata.quantity`, 1 if omitted.

    A purchase that names its order in `metadata.order_id` can be refunded by that id.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "browser-7f3a", "product_id": 42, "event_type": "view"}]},
    )

    # Declared before product_id, whose rule depends on it.
    external_id: ExternalId | None = Field(
        None, description="The shop's own id of the product, instead of `product_id`."
    )
    product_id: JsonId | None = Field(
        None,
        validate_default=True,
        description="Id of the product. Required, except for a `search` and with `external_id`.",
    )

    @field_validator("metadata")
    @classmethod
    def has_whole_quantity(cls, value: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        """Require that a quantity is a number of pieces, where the event is about pieces."""
        if value is not None and info.data.get("event_type") in WITH_QUANTITY:
            try:
                event_quantity(value.get("quantity"))
            except ValueError as error:
                raise ValueError(f"quantity {error}") from None
        return value

    @field_validator("product_id")
    @classmethod
    def has_product(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Require a product, by one of its ids, except for the types of WITHOUT_PRODUCT."""
        # An invalid external_id has an error of its own.
        is_named = value is not None or info.data.get("external_id", "") is not None
        if not is_named and info.data.get("event_type", EventType.SEARCH) not in WITHOUT_PRODUCT:
            raise ValueError("give product_id or external_id; only search, custom and refund events may omit both")
        return value


def quantity_of(event: Event) -> int:
    """Return an event's number of pieces, in [1, MAX_EVENT_QUANTITY]: ``quantity`` in the metadata, 1 if missing."""
    if event.event_type not in WITH_QUANTITY:
        return 1
    return event_quantity((event.metadata or {}).get("quantity"))


def event_key(event_id: str) -> UUID:
    """Return the UUID under which an event counts once: the id itself, or derived from an id that is not a UUID.

    A UUID of version 8 is also converted: these are the keys for ids that somebody else has already used
    (shared/storage/events/event_ids.py), and no client may choose one.
    """
    try:
        key = UUID(event_id)
    except ValueError:
        return uuid5(EVENT_ID_NAMESPACE, event_id)
    return uuid5(EVENT_ID_NAMESPACE, str(key)) if key.version == PERSONAL_VERSION else key


def uuid7() -> UUID:
    """Return a new time-ordered UUID (RFC 9562, version 7), which keeps index inserts at the right edge of the tree."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
