"""Requests and responses of the recommendations function."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.domain.category_references import CategoryReference
from shared.domain.events import ExternalId, ProductId, UserId
from shared.domain.formula import RECENT_MINUTES, Repeats
from shared.domain.product import Product
from shared.domain.product_references import ProductReference
from shared.http import K, Query, UserQuery
from shared.http.parameters import CategoryName, id_list, ids_in
from shared.storage.recommending.similar_products import Kind

MAX_EXCLUDED: Final = 200
MAX_RECENT: Final = 50
MAX_CONTEXT: Final = 20
MAX_BATCH_USERS: Final = 100
# ids of the shop's own in a query, each a parameter of its own
MAX_EXTERNAL: Final = 50
# bounds a batch at 2,000 products
MAX_BATCH_K: Final = 20

CategoryId = Annotated[int, Field(ge=1, le=2**53 - 1)]
ExternalIds = Annotated[list[ExternalId], Field(max_length=MAX_EXTERNAL)]
InStockOnly = Annotated[bool, Field(description="`true` returns only products in stock.")]
Explain = Annotated[bool, Field(description="`true` adds the reason for each product.")]


class CategoryFilter(BaseModel):
    """The fields that restrict an answer to a category: its id, or its path or name."""

    category_id: CategoryId | None = Field(
        None, description="Returns only products of this category and of the categories below it."
    )
    category: CategoryName | None = Field(
        None,
        description="The same by path (`Women > Shoes`) or by name, which may be that of several categories. In any "
        "case of letters.",
    )

    @model_validator(mode="after")
    def require_one_category(self) -> Self:
        """Refuse a category that is named twice."""
        if self.category_id is not None and self.category is not None:
            raise ValueError("Give either category_id or category.")
        return self

    @property
    def category_reference(self) -> CategoryReference:
        """The category of the request."""
        return CategoryReference(self.category_id, self.category)


class ProductQuery(UserQuery):
    """The parameters that name the product of a request."""

    product_id: ProductId | None = Field(None, description="Id of the product.")
    external_id: ExternalId | None = Field(None, description="The shop's own id of the product, instead.")


class RecommendationsQuery(CategoryFilter, UserQuery):
    """The parameters of GET /recommendations."""

    k: K = 10
    exclude: Annotated[str, id_list(MAX_EXCLUDED)] = Field(
        "", description=f"Ids of products not to return, separated by commas; at most {MAX_EXCLUDED}."
    )
    exclude_external: ExternalIds = Field(
        [], description=f"The shop's own ids of products not to return, each a parameter; at most {MAX_EXTERNAL}."
    )
    in_stock: bool | None = Field(
        None,
        description="`true` returns only products in stock. If omitted, products in stock come first. "
        "`false` ignores stock.",
    )
    repeats: Repeats = Field(
        "exclude",
        description="Which of the products that the user knows are returned. `exclude`: none that they bought, or "
        f"viewed in the last {RECENT_MINUTES} minutes; if too few products remain, those viewed return, and then those "
        "bought. `include`: known and new products, best first. `only`: known products.",
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
        description=f"The shop's own ids of such products, each a parameter; at most {MAX_EXTERNAL}. After `recent`.",
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


class SimilarProductsQuery(ProductQuery):
    """The parameters of GET /similar-products. With a user, the answer has a recommendation_id."""

    k: K = 10
    kind: Kind = Field(
        "hybrid",
        description="`collaborative`: products that the same people are interested in. `content`: products with a "
        "similar description. `hybrid`: both, filled up with trending products of the category.",
    )
    explain: Explain = False

    @model_validator(mode="after")
    def require_product(self) -> Self:
        """Refuse a request that names no product."""
        ProductReference.required(self.product_id, self.external_id)
        return self


class TrendingProductsQuery(CategoryFilter, Query):
    """The parameters of GET /trending."""

    window: Literal["7d", "30d"] = Field("7d", description="The last 7 or 30 days.")
    k: K = 10


class PopularProductsQuery(Query):
    """The parameters of GET /popular."""

    k: K = 10


class RecentlyViewedQuery(UserQuery):
    """The parameters of GET /recently-viewed."""

    k: K = 10


class FrequentlyBoughtTogetherQuery(UserQuery):
    """The parameters of GET /frequently-bought-together. With a user, the answer has a recommendation_id."""

    product_id: Annotated[str, id_list(MAX_CONTEXT)] = Field(
        "",
        description="The id of a product, or of several such as those in a cart, separated by commas; "
        f"at most {MAX_CONTEXT}.",
    )
    external_id: Annotated[list[ExternalId], Field(max_length=MAX_CONTEXT)] = Field(
        [], description=f"The shop's own ids instead, each a parameter; at most {MAX_CONTEXT}."
    )
    k: K = 10
    in_stock: InStockOnly = False
    explain: Explain = False

    @model_validator(mode="after")
    def require_products(self) -> Self:
        """Refuse a request without products, and lists of both kinds of ids."""
        ids, external_ids = ids_in(self.product_id, MAX_CONTEXT), self.external_id
        if not ids and not external_ids:
            raise ValueError("give product_id or external_id")
        if ids and external_ids and (len(ids) > 1 or len(external_ids) > 1):
            raise ValueError("name several products by product_id or by external_id, not by both")
        return self

    @property
    def context(self) -> list[ProductReference]:
        """The products of the request, each once."""
        ids, external_ids = ids_in(self.product_id, MAX_CONTEXT), list(dict.fromkeys(self.external_id))
        if ids and external_ids:
            return [ProductReference(ids[0], external_ids[0])]
        return [*map(ProductReference, ids), *(ProductReference(None, external_id) for external_id in external_ids)]


class BuyAgainQuery(UserQuery):
    """The parameters of GET /buy-again."""

    k: K = 10
    in_stock: InStockOnly = False
    explain: Explain = False


class Reason(BaseModel):
    """Why a product was recommended.

    `again`: the user viewed or bought it before. `similar`: similar to `product_id`, which the user viewed or bought,
    or which the request names. `next`: users often choose it next after `product_id`. `together`: bought together with
    `product_id`. `taste`: matches the user's preferences. `trending`, `popular`: fills up the answer. `new`: recently
    added. `rule`: moved by the shop's rule `rule_id`.
    """

    kind: Literal["again", "similar", "next", "together", "taste", "trending", "popular", "new", "rule"] = Field(
        description="Kind of reason."
    )
    product_id: int | None = Field(
        description="Id of the product that the reason refers to; null if it refers to none."
    )
    product_name: str | None = Field(description="Name of that product; null if there is none.")
    text: str = Field(description="The reason as a sentence to show.")
    rule_id: int | None = Field(None, description="Id of the shop's rule, if `kind` is `rule`.")


class RankedProduct(Product):
    """A product with its rank and score."""

    score: float = Field(description="Compares products within one answer only.")
    rank: int = Field(description="1 is the best.")
    reason: Reason | None = Field(
        None, description="Why the product was recommended, if the request has `explain=true`."
    )
    distance_km: float | None = Field(
        None,
        description="Distance from `latitude` and `longitude`, if the request has them; null for a product without a "
        "place.",
    )


class TrendingProduct(RankedProduct):
    """A trending product."""

    event_count: int = Field(description="The number of events of the window.")


class RecentlyViewedProduct(RankedProduct):
    """A product that the user viewed."""

    viewed_at: datetime = Field(description="The time of the last view.")


class FrequentlyBoughtTogetherProduct(RankedProduct):
    """A product bought together with those given; its measures refer to the given product with the highest score."""

    lift: float = Field(
        description="How many times more often both are bought together than if they were independent; above 1."
    )
    confidence: float = Field(
        description="The share of the orders with the requested product that also contain this one."
    )
    count: int = Field(description="The number of orders that contain both.")


class BuyAgainProduct(RankedProduct):
    """A product that the user bought and may need again."""

    last_purchased_at: datetime = Field(description="When the user last bought it.")
    purchase_count: int = Field(description="How many times the user bought it.")
    due: bool = Field(description="Whether `due_at` has passed.")
    due_at: datetime = Field(description="The last purchase plus the usual interval between purchases.")


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


class RecommendationsBatchRequest(CategoryFilter):
    """Recommendations for several users."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_ids: list[UserId] = Field(min_length=1, max_length=MAX_BATCH_USERS, description="Ids of the users, each once.")
    k: int = Field(10, ge=1, le=MAX_BATCH_K, description="Maximum number of products for each user.")
    repeats: Repeats = Field("exclude", description="Which of the products that a user knows are returned.")
    exclude: list[ProductId] = Field([], max_length=MAX_EXCLUDED, description="Ids of products not to return.")
    exclude_external: list[ExternalId] = Field(
        [], max_length=MAX_EXCLUDED, description="The shop's own ids of products not to return."
    )
    in_stock: bool | None = Field(
        None,
        description="`true` returns only products in stock. If omitted, products in stock come first. "
        "`false` ignores stock.",
    )

    @model_validator(mode="after")
    def require_each_user_once(self) -> Self:
        """Refuse a user that is named twice."""
        if len(set(self.user_ids)) < len(self.user_ids):
            raise ValueError("Name each user of user_ids once.")
        return self

    @property
    def excluded(self) -> list[ProductReference]:
        """Products not to return."""
        return [
            *map(ProductReference, self.exclude),
            *(ProductReference(None, external_id) for external_id in self.exclude_external),
        ]


class RecommendationsBatch(BaseModel):
    """Recommendations for each user of the request, in its order."""

    answers: list[Recommendations] = Field(description="The answers, one for each user.")


class SimilarProducts(BaseModel):
    """Products similar to a product, most similar first."""

    product_id: int = Field(description="Id of the product of the request.")
    external_id: str = Field(description="The shop's own id of it.")
    similar_products: list[RankedProduct] = Field(description="The products, most similar first.")
    recommendation_id: str | None = Field(None, description="Given if the request named a user.")
    generated_at: datetime = Field(description="When the answer was computed.")


class TrendingProducts(BaseModel):
    """Trending products, best first."""

    window: Literal["7d", "30d"] = Field(description="The last 7 or 30 days.")
    products: list[TrendingProduct] = Field(description="The products, best first.")
    generated_at: datetime = Field(description="When the answer was computed.")


class PopularProducts(BaseModel):
    """Products bought most; the score is the number of purchases."""

    products: list[RankedProduct] = Field(description="The products, best first.")
    generated_at: datetime = Field(description="When the answer was computed.")


class RecentlyViewed(BaseModel):
    """Products that the user viewed, newest first."""

    user_id: str = Field(description="Id of the user.")
    products: list[RecentlyViewedProduct] = Field(description="The products, last viewed first.")
    generated_at: datetime = Field(description="When the answer was computed.")


class FrequentlyBoughtTogether(BaseModel):
    """Products bought together with the requested ones, best first."""

    product_id: int | list[int | None] | None = Field(
        description="A list if the request named several products; null for one that does not exist."
    )
    external_id: str | list[str | None] | None = Field(description="The shop's own ids, in the same form.")
    products: list[FrequentlyBoughtTogetherProduct] = Field(description="The products, best first.")
    recommendation_id: str | None = Field(None, description="Given if the request named a user.")
    generated_at: datetime = Field(description="When the answer was computed.")


class BuyAgain(BaseModel):
    """Products that the user may need again, most likely first."""

    user_id: str = Field(description="Id of the user.")
    products: list[BuyAgainProduct] = Field(description="The products, most likely first.")
    recommendation_id: str = Field(description="Identifies this answer in POST /recommendations/feedback.")
    generated_at: datetime = Field(description="When the answer was computed.")


class Feedback(BaseModel):
    """What a user did with a recommended product."""

    model_config = ConfigDict(extra="forbid")

    recommendation_id: UUID = Field(description="The id of the answer that contained the product.")
    product_id: Annotated[int, Field(ge=1, le=2**53 - 1, strict=True)] | None = Field(
        None, description="Id of the product."
    )
    external_id: ExternalId | None = Field(None, description="The shop's own id of the product, instead.")
    action: Literal["impression", "click", "add_to_cart", "purchase"] = Field(description="What the user did with it.")
    position: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = Field(
        None, description="The position at which the product was shown; 1 is the first."
    )

    @model_validator(mode="after")
    def require_product(self) -> Self:
        """Refuse feedback that names no product."""
        ProductReference.required(self.product_id, self.external_id)
        return self


class FeedbackAccepted(BaseModel):
    """The feedback is stored. Repeated feedback changes nothing."""

    status: Literal["accepted"] = Field(description="Always `accepted`.")
