"""Orders and refunds as events: the reports that a shop sends, and the single-product events derived from them.

An order is stored as one purchase per line, with an id derived from the order's id and the line's position, so that a
repeated order counts once, whichever system it comes from. A refund names its order, and lines or, for the whole order,
none. Either may arrive first. docs/decisions/0044-one-reversal.md has the rules.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid5

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from shared.domain.events import Event, EventFields, EventType, ExternalId, JsonId, printable
from shared.domain.quantities import MAX_EVENT_QUANTITY, Whole

MAX_LINES: Final = 500
# A refund whose order does not arrive within this time is rejected.
REFUND_WAIT: Final = timedelta(days=7)
# Ids of reported lines and refunds are derived under this namespace: never change it.
ORDER_EVENT_NAMESPACE: Final = UUID("7d0f5f0b-63f6-4b7a-9d1f-52f0c1e8a4d6")
ORDER_ID_CHARACTERS: Final = 255
# Key in the metadata of a refund's lines for the id of the refund.
LINES_OF: Final = "refund_event_id"

OrderId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=ORDER_ID_CHARACTERS, strip_whitespace=True),
    AfterValidator(printable),
]


class OrderLine(BaseModel):
    """A product of an order, or its refund."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    external_id: ExternalId | None = Field(
        None, description="The shop's own id of the product, instead of `product_id`."
    )
    product_id: JsonId | None = Field(
        None, validate_default=True, description="Id of the product. Required without `external_id`."
    )

    @field_validator("product_id")
    @classmethod
    def has_product(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Require a product, by one of its ids."""
        # An invalid external_id has an error of its own.
        if value is None and info.data.get("external_id", "") is None:
            raise ValueError("give product_id or external_id")
        return value


class BoughtLine(OrderLine):
    """A line of an order."""

    quantity: Annotated[int, Whole, Field(strict=True, ge=1, description="Number of pieces.")] = 1
    price: float | None = Field(None, ge=0, allow_inf_nan=False, description="Unit price.")


class RefundLine(OrderLine):
    """The refund of a product of an order, or of some of its pieces."""

    quantity: Annotated[int, Whole, Field(strict=True, ge=1)] | None = Field(
        None, description="Number of pieces. If omitted, all pieces in the order."
    )


class ReportedOrder(EventFields):
    """An order. Each line is a purchase. An order that is reported again, under any event id, counts once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "browser-7f3a",
                    "event_type": "order",
                    "order_id": "1001",
                    "lines": [{"product_id": 42, "quantity": 2, "price": 9.99}],
                }
            ]
        }
    )

    event_type: Literal["order"] = Field(description="`order`.")  # type: ignore[assignment]  # no stored type
    order_id: OrderId = Field(description="The shop's id of the order. An order of Aisle's own checkout counts once.")
    lines: Annotated[list[BoughtLine], Field(min_length=1, max_length=MAX_LINES)] = Field(
        description="The lines of the order. A line is identified by its position, so send the lines in the same "
        "sequence every time."
    )


class ReportedRefund(EventFields):
    """The refund of an order, or of a part of it. It may arrive before the order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "browser-7f3a", "event_type": "refund", "order_id": "1001"}]}
    )

    event_type: Literal["refund"] = Field(description="`refund`.")  # type: ignore[assignment]  # one of its types
    order_id: OrderId = Field(description="The id of the order.")
    lines: Annotated[list[RefundLine], Field(min_length=1, max_length=MAX_LINES)] | None = Field(
        None, description="The refunded lines. If omitted, the whole order."
    )

    @model_validator(mode="after")
    def names_a_product_once(self) -> "ReportedRefund":
        """Require that each product is one line, so that a number of pieces means what it says.

        A product that one line names by its ``product_id`` and another by its ``external_id`` is known when the refund
        is stored, and rejected then (shared/storage/events/ingestion.py).
        """
        for name in ("product_id", "external_id"):
            ids = [value for line in self.lines or () if (value := getattr(line, name)) is not None]
            if len(set(ids)) < len(ids):
                raise ValueError("lines must name each product once; add up its pieces")
        return self


def _kind(value: Any) -> str:
    name = value.get("event_type") if isinstance(value, dict) else getattr(value, "event_type", None)
    return f"({name})" if name in ("order", "refund") else "(event)"


# The tags are left out of the paths of invalid fields (shared/validation.py).
Report = Annotated[
    Annotated[Event, Tag("(event)")]
    | Annotated[ReportedOrder, Tag("(order)")]
    | Annotated[ReportedRefund, Tag("(refund)")],
    Discriminator(_kind),
]
REPORT: Final[TypeAdapter[Report]] = TypeAdapter(Report)


def line_id(order_id: str, position: int) -> UUID:
    """Return the id under which a line of a reported order counts."""
    return uuid5(ORDER_EVENT_NAMESPACE, f"order\n{order_id}\n{position}")


def _without(metadata: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != name}


def _refund_id(event_id: str, position: int) -> str:
    return str(uuid5(ORDER_EVENT_NAMESPACE, f"refund\n{event_id}\n{position}"))


def events_of(report: Report, event_id: str) -> list[tuple[str, Event]]:
    """Return the events as which a report is stored, each with its id; ``event_id`` is the report's own id.

    The metadata of an order or a refund goes to its first event.
    """
    if isinstance(report, Event):
        return [(event_id, report)]
    facts: list[dict[str, Any]]
    if isinstance(report, ReportedOrder):
        kind = EventType.PURCHASE
        ids = [str(line_id(report.order_id, position)) for position in range(len(report.lines))]
        products: Sequence[OrderLine | None] = report.lines
        facts = [
            {"order_id": report.order_id, "quantity": min(line.quantity, MAX_EVENT_QUANTITY), "price": line.price}
            for line in report.lines
        ]
    elif report.lines is None:
        kind = EventType.REFUND
        ids, products, facts = [event_id], [None], [{"order_id": report.order_id}]
    else:
        kind = EventType.REFUND
        ids = [_refund_id(event_id, position) for position in range(len(report.lines))]
        products = report.lines
        # Only lines that use different kinds of ids can name one product twice.
        ways = {(line.product_id is None, line.external_id is None) for line in report.lines}
        facts = [
            {
                "order_id": report.order_id,
                "quantity": None if line.quantity is None else min(line.quantity, MAX_EVENT_QUANTITY),
                LINES_OF: event_id if len(ways) > 1 else None,
            }
            for line in report.lines
        ]
    return [
        (
            own_id,
            Event.model_construct(
                user_id=report.user_id,
                event_type=kind,
                product_id=None if line is None else line.product_id,
                external_id=None if line is None else line.external_id,
                timestamp=report.timestamp,
                session_id=report.session_id,
                metadata=(_without(report.metadata or {}, LINES_OF) if position == 0 else {})
                | {name: value for name, value in named.items() if value is not None},
                event_id=own_id,
            ),
        )
        for position, (own_id, line, named) in enumerate(zip(ids, products, facts, strict=True))
    ]
