"""Request and response models of the events function."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from shared.domain.events import MAX_EVENTS_PER_REQUEST, Text


class EventAccepted(BaseModel):
    """The event was accepted and will be stored."""

    event_id: str = Field(description="Id under which the event counts once: the client's own, or a new UUIDv7.")
    status: Literal["accepted"] = Field("accepted", description="Always `accepted`.")
    note: str | None = Field(
        None, description="What was changed: a `timestamp` in the future. Null if nothing was changed."
    )


class EventBatch(BaseModel):
    """Up to 500 events of any users. Each event is accepted or rejected on its own."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"events": [{"user_id": "browser-7f3a", "product_id": 42, "event_type": "view"}]}]
        },
    )

    events: Annotated[
        list[Any],
        Field(min_length=1, max_length=MAX_EVENTS_PER_REQUEST, description="The events, in any order."),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_EVENTS_PER_REQUEST,
                "items": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/Event"},
                        {"$ref": "#/components/schemas/ReportedOrder"},
                        {"$ref": "#/components/schemas/ReportedRefund"},
                    ]
                },
            }
        ),
    ]
    sent_at: Text | None = Field(
        None,
        max_length=64,
        description="When the client sent the request, by its own clock; applies to every event without its own "
        "`sent_at`.",
    )


class EventNote(BaseModel):
    """What was changed in an accepted event."""

    index: int = Field(description="Position of the event in the request, from 0.")
    note: str = Field(description="What was changed, and how to avoid it.")


class EventRejection(BaseModel):
    """An event of a batch that was not accepted."""

    index: int = Field(description="Position of the event in the request, from 0.")
    problem: dict[str, Any] = Field(description="What is wrong with the event, as a problem (RFC 9457).")


class EventBatchResult(BaseModel):
    """How many events of a batch were accepted, and which were rejected."""

    accepted: int = Field(description="Number of accepted events.")
    rejected: list[EventRejection] = Field(description="The other events, in the order of the request.")
    notes: list[EventNote] = Field(description="What was changed in accepted events.")
