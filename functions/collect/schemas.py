"""Request and response models of the collect function. Bodies may have all other fields of their dialects."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.domain.events import Text
from shared.http.parameters import Query


class ForeignBody(BaseModel):
    """Base of bodies whose further fields another system defines."""

    model_config = ConfigDict(extra="allow", frozen=True)


class CamelCaseBody(ForeignBody):
    """Base of bodies whose fields are written in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel)

    def fields(self) -> dict[str, Any]:
        """Return the body as it was sent, without nulls."""
        return self.model_dump(exclude_none=True, by_alias=True)


class SegmentMessage(CamelCaseBody):
    """A call of Segment's tracking API."""

    message_id: Any = Field(None, description="Id of the message; messages with the same id count once.")
    user_id: Any = Field(None, description="Id of the user, if known.")
    anonymous_id: Any = Field(None, description="Id of the visitor, if the user is not known.")
    event: Any = Field(None, description="Name of the event of a `track` call.")
    properties: Any = Field(None, description="Properties of the event.")
    write_key: Any = Field(None, description="A publishable API key, if no header has it.")


class SegmentBatch(CamelCaseBody):
    """Calls of Segment's tracking API."""

    batch: Annotated[list[Any], Field(min_length=1)] = Field(description="The calls, each with its `type`.")
    write_key: Any = Field(None, description="A publishable API key, if no header has it.")
    sent_at: Any = Field(None, description="When the batch was sent, by the clock of the client.")


class MeasurementRequest(ForeignBody):
    """A request of GA4's Measurement Protocol."""

    client_id: Any = Field(None, description="Id of the browser.")
    user_id: Any = Field(None, description="Id of the user, if known.")
    timestamp_micros: Any = Field(None, description="When the events happened, in microseconds since 1970.")
    events: Any = Field(None, description="The events, each with `name` and `params`.")


class MeasurementQuery(Query):
    """The stream of GA4 that the request was meant for. Aisle does not need it."""

    measurement_id: Text | None = Field(None, max_length=255, description="Id of the web stream. Ignored.")
    firebase_app_id: Text | None = Field(None, max_length=255, description="Id of the app stream. Ignored.")


class ValidationMessage(BaseModel):
    """What is wrong with a request of the Measurement Protocol."""

    model_config = ConfigDict(alias_generator=to_camel)

    field_path: str = Field(description="Path of the field.")
    description: str = Field(description="What is wrong with it.")
    validation_code: str = Field(description="Kind of the fault.")


class MeasurementValidation(BaseModel):
    """The result of checking a request of the Measurement Protocol."""

    model_config = ConfigDict(alias_generator=to_camel)

    validation_messages: list[ValidationMessage] = Field(description="The faults; empty if the request is valid.")


class RetailEvent(CamelCaseBody):
    """A user event of Google Cloud Retail."""

    event_type: Any = Field(None, description="Type of the event, such as `detail-page-view`.")
    visitor_id: Any = Field(None, description="Id of the visitor.")
    product_details: Any = Field(None, description="The products, with their quantities.")


class RetailImport(CamelCaseBody):
    """User events of Google Cloud Retail, in the request itself."""

    input_config: Any = Field(description="Has `userEventInlineSource.userEvents`.")


class RetailCollectQuery(Query):
    """A user event in a URL, as a pixel sends it."""

    user_event: Text = Field(alias="userEvent", max_length=8_000, description="The user event as JSON.")
    uri: Text | None = Field(None, max_length=2_048, description="Address of the page. Ignored.")
    ets: Text | None = Field(None, max_length=32, description="Time of the browser in milliseconds. Ignored.")


class PlainEvent(ForeignBody):
    """An event of a storefront's own tracking call."""

    user_id: Any = Field(None, description="Id of the user.")
    event_type: Any = Field(None, description="What the user did; also as `event`.")
    product_id: Any = Field(None, description="Id of the product: a number is Aisle's, a text the shop's own.")


class Rejection(BaseModel):
    """An event that was not accepted."""

    index: int = Field(description="Position of the event in the request, from 0.")
    problem: dict[str, Any] = Field(description="What is wrong with the event, as a problem (RFC 9457).")


class CollectionResult(BaseModel):
    """Which events of a request were accepted."""

    success: Literal[True] = Field(description="True.")
    accepted: int = Field(description="Number of accepted events.")
    rejected: list[Rejection] = Field(description="The other events.")


class MedusaDelivery(ForeignBody):
    """A product or an order of Medusa after a change; docs/connect/example/medusa-subscriber.ts sends it."""

    type: Literal["product", "order"] = Field(description="What it is about.")
    id: Annotated[Text, Field(min_length=1, max_length=200)] = Field(description="Medusa's id of the product or order.")
    product: dict[str, Any] | None = Field(
        None, description="The product as the Store API returns it; null if it is no longer sold."
    )
    categories: list[dict[str, Any]] = Field(
        [], description="The product's categories and those above them: `id`, `name`, `parent_category_id`."
    )
    order: dict[str, Any] | None = Field(None, description="The order as the Admin API returns it.")


class MedusaResult(BaseModel):
    """Result of a delivery."""

    created: int = Field(description="Products that are new.")
    updated: int = Field(description="Products that changed.")
    hidden: int = Field(description="Variants that are no longer sold.")
    reports: int = Field(
        description="The order and its refunds that were published. Those already known are not counted again."
    )
    rejected: list[str] = Field(description="Variants and reports that could not be processed, each with the reason.")
