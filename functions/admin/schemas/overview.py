"""Request and response models of the overview."""

from datetime import date as Date  # noqa: N812 — a field is called `date`, which would hide the type
from typing import Annotated

from pydantic import BaseModel, Field

from shared.domain.product import Product
from shared.http import Query
from shared.storage.recommending.attribution import LOGGED_DAYS


class OverviewQuery(Query):
    """The days to look at."""

    days: Annotated[int, Field(ge=1, le=LOGGED_DAYS, description="Number of days, today included.")] = LOGGED_DAYS


class DailyFigures(BaseModel):
    """Sales and visitors of a day, which begins at midnight in the time zone of the shop."""

    date: Date = Field(description="The day.")
    revenue: float = Field(description="Revenue, net of refunds.")
    purchases: int = Field(description="Number of purchased lines.")
    recommended_revenue: float = Field(
        description="Revenue of products that a recommendation showed to the buyer in the 24 hours before."
    )
    buyers: int = Field(description="Number of different buyers.")
    visitors: int = Field(description="Number of different users with an event.")
    new_visitors: int = Field(description="Those of them whose first event was on this day.")


class TopProduct(BaseModel):
    """One of the products with the greatest revenue."""

    product: Product = Field(description="The product.")
    pieces: int = Field(description="Pieces sold.")
    revenue: float = Field(description="Revenue.")


class DailyRecommendations(BaseModel):
    """Reactions to recommendations of one kind on one day of UTC."""

    date: Date = Field(description="The day.")
    kind: str = Field(description="Kind of recommendation.")
    answers: int = Field(description="Computed answers.")
    impressions: int = Field(description="Products reported as seen.")
    clicks: int = Field(description="Products reported as clicked.")
    ctr: float | None = Field(description="Clicks per impression; null without impressions.")
    purchases: int = Field(description="Recommended products that the same user bought within 24 hours.")
    conversion: float | None = Field(description="Share of answers that led to a purchase; null without answers.")


class PositionStatistics(BaseModel):
    """Reactions to the recommendations at one position."""

    position: int = Field(description="Place in the answer, from 1.")
    impressions: int = Field(description="Products reported as seen.")
    clicks: int = Field(description="Products reported as clicked.")
    ctr: float | None = Field(description="Clicks per impression; null without impressions.")


class Overview(BaseModel):
    """The shop's last days: revenue, what recommendations add to it, and what sells."""

    days: int = Field(description="Number of days.")
    currency: str | None = Field(description="ISO 4217 code of the currency; null until the shop sets it.")
    time_zone: str = Field(description="IANA time zone in which days begin.")
    revenue: float = Field(description="Revenue of these days.")
    recommended_revenue: float = Field(
        description="The part of it from products that a recommendation showed to the buyer in the 24 hours before."
    )
    recommended_share: float | None = Field(description="That part as a share; null without revenue.")
    by_day: list[DailyFigures] = Field(description="Each day, the oldest first.")
    top_products: list[TopProduct] = Field(description="The ten products with the greatest revenue.")
    recommendations_by_day: list[DailyRecommendations] = Field(description="Reactions by day and kind.")
    recommendations_by_position: list[PositionStatistics] = Field(description="Reactions by position.")
