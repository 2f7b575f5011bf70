"""Request and response models of a user's recommendations."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from functions.recommendations.schemas.parameters import MAX_EXCLUDED, CategoryFilter, Explain, InStockFirst
from functions.recommendations.schemas.ranked_products import RankedProduct
from shared.domain.events import ExternalId, ProductId
from shared.domain.formula import RECENT_MINUTES, Repeats
from shared.domain.product_references import ProductReference
from shared.http import K, UserQuery
from shared.http.parameters import id_list, ids_in

MAX_RECENT: Final = 50
# ids of the shop's own in a query, each a parameter of its own
MAX_EXTERNAL: Final = 50

ExternalIds = Annotated[list[ExternalId], Field(max_length=MAX_EXTERNAL)]


class RecommendationsQuery(CategoryFilter, UserQuery):
    """The parameters of GET /recommendations."""

    k: K = 10
    exclude: Annotated[str, id_list(MAX_EXCLUDED)] = Field(
        "", description=f"Ids of products not to return, separated by commas; at most {MAX_EXCLUDED}."
    )
    exclude_external: ExternalIds = Field(
        [], description=f"The shop's own ids of products not to return, one per parameter; at most {MAX_EXTERNAL}."
    )
    in_stock: InStockFirst = None
    repeats: Repeats = Field(
        "exclude",
        description="Which of the products that the user knows are returned. `exclude`: none that they bought, or "
        f"viewed in the last {RECENT_MINUTES} minutes; if too few products remain, the viewed ones are added, and then "
        "the bought ones. `include`: known and new products, best first. `only`: known products.",
    )
    explain: Explain = False
    product_id: ProductId | None = Field(
        None, description="The product the user is looking at. It is not returned, and products like it come first."
    )
    external_id: ExternalId | None = Field(None, description="The shop's own id of that product.")
    recent: Annotated[str, id_list(MAX_RECENT)] = Field(
        "",
        description=f"Ids of products viewed in this session, newest first, separated by commas; at most {MAX_RECENT}.",
    )
    recent_external: ExternalIds = Field(
        [],
        description=f"The shop's own ids of such products, one per parameter; at most {MAX_EXTERNAL}. They follow "
        "those of `recent`.",
    )
    diversity: float = Field(
        0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Trades relevance for variety: 0 returns the most relevant products, 1 as many categories as "
        "possible.",
    )
    latitude: float | None = Field(
        None,
        ge=-90,
        le=90,
        allow_inf_nan=False,
        description="Latitude of the user in degrees. Products with a location rank higher the nearer they are. "
        "Requires `longitude`.",
    )
    longitude: float | None = Field(
        None,
        ge=-180,
        le=180,
        allow_inf_nan=False,
        description="Longitude of the user in degrees. Requires `latitude`.",
    )

    @model_validator(mode="after")
    def require_both_coordinates(self) -> Self:
        """Refuse a single coordinate."""
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("Give both latitude and longitude, or neither.")
        return self

    @property
    def viewed(self) -> ProductReference | None:
        """The product the user is looking at."""
        if self.product_id is None and self.external_id is None:
            return None
        return ProductReference(self.product_id, self.external_id)

    @property
    def excluded(self) -> list[ProductReference]:
        """Products not to return, the one the user is looking at included."""
        return [
            *(ProductReference(product_id) for product_id in ids_in(self.exclude, MAX_EXCLUDED)),
            *(ProductReference(None, external_id) for external_id in self.exclude_external),
            *([self.viewed] if self.viewed is not None else ()),
        ]

    @property
    def context(self) -> list[ProductReference]:
        """The products of the session, newest first."""
        recent = [
            *(ProductReference(product_id) for product_id in ids_in(self.recent, MAX_RECENT)),
            *(ProductReference(None, external_id) for external_id in self.recent_external),
        ]
        return [*([self.viewed] if self.viewed is not None else ()), *recent]


class Recommendations(BaseModel):
    """Products recommended to a user, best first."""

    user_id: str = Field(description="Id of the user.")
    recommendations: list[RankedProduct] = Field(description="The products, best first.")
    strategy: Literal["personalized", "trending", "cold_start_category", "popular"] = Field(
        description="How the products were chosen."
    )
    recommendation_id: str = Field(description="Identifies this answer in POST /recommendations/feedback.")
    model_version: int | None = Field(description="Model version; null if no model is active or none was used.")
    algorithm: str | None = Field(
        description="Algorithm of that version, such as `ease` or `mixture`; null without one."
    )
    generated_at: datetime = Field(description="When the answer was computed.")
