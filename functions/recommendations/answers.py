"""Computing each answer of the recommendations function from what storage returns."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from shared.domain.events import uuid7
from shared.domain.ranking import rank
from shared.errors import CategoryNotFound, DatabaseUnavailable, ProductNotFound
from shared.http.answers import dump
from shared.storage import recommendations as storage

PAST = {"view": "viewed", "purchase": "bought", "add_to_cart": "added", "wishlist": "wished for"}


class Reason(BaseModel):
    """Why a product is shown; ``kind`` is similar, taste, trending or popular."""

    kind: Literal["similar", "taste", "trending", "popular"]
    product_id: int | None
    product_name: str | None
    text: str


class RankedProduct(BaseModel):
    """A product with its place in the answer. ``score`` compares products of one answer only."""

    id: int
    external_id: str
    name: str
    description: str
    price: float
    image_url: str | None
    category_id: int | None
    category: str | None
    brand: str | None
    tags: list[str]
    quantity: int
    is_active: bool
    views: int
    purchase_count: int
    created_at: datetime
    updated_at: datetime
    score: float
    rank: int
    reason: Reason | None = None


class TrendingProduct(RankedProduct):
    """A trending product with the number of events that made it so."""

    event_count: int


class ViewedProduct(RankedProduct):
    """A product and when the user last viewed it."""

    viewed_at: datetime


class Recommendations(BaseModel):
    """The answer of /recommendations."""

    user_id: str
    recommendations: list[RankedProduct]
    strategy: Literal["personalized", "trending", "cold_start_category", "popular"]
    recommendation_id: str
    model_version: int | None
    generated_at: datetime


class SimilarProducts(BaseModel):
    """The answer of /similar-products."""

    product_id: int
    similar_products: list[RankedProduct]
    generated_at: datetime


class Trending(BaseModel):
    """The answer of /trending."""

    window: Literal["7d", "30d"]
    products: list[TrendingProduct]
    generated_at: datetime


class Popular(BaseModel):
    """The answer of /popular; the score is the number of purchases."""

    products: list[RankedProduct]
    generated_at: datetime


class RecentlyViewed(BaseModel):
    """The answer of /recently-viewed, newest first."""

    user_id: str
    products: list[ViewedProduct]
    generated_at: datetime


def now() -> str:
    """Return the time of an answer."""
    return datetime.now(UTC).isoformat()


def placed(products: Sequence[tuple[dict[str, Any], float, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return RankedProducts from ``(product, score, further fields)``, best first."""
    return [
        {**product, "score": round(score, 6), "rank": place, **more}
        for place, (product, score, more) in enumerate(products, start=1)
    ]


def personal(
    user_id: str, k: int, category_id: int | None, exclude: list[int], in_stock: bool | None, explain: bool,
    place: tuple[float, float] | None,
) -> bytes:  # fmt: skip
    """Compute /recommendations in two statements: candidates, then the products shown. Raises CategoryNotFound."""
    found = storage.candidates(user_id, k=k, category_id=category_id, exclude=exclude, in_stock=bool(in_stock))
    if not found.category_known:
        raise CategoryNotFound(f"There is no category {category_id}; GET /products/categories lists them.")
    best = rank(
        found.candidates, found.taste, k,
        blend=found.blend, trending_prior=found.trending_prior, place=place, stock_first=in_stock is not False,
    )  # fmt: skip
    ids = [one.id for one in best]
    if explain:
        products = storage.shown_with_reason(ids, found)
    else:
        products = [(product, None, None, None) for product in storage.shown(ids)]
    tiers = {one.id: one.tier for one in found.candidates}
    by_id = {one.id: one for one in best}
    listed = []
    for product, source_id, source_name, kind in products:
        more = {"reason": reason_of(product, tiers[product["id"]], source_id, source_name, kind)} if explain else {}
        listed.append((product, by_id[product["id"]].score, more))
    strategy = "personalized" if found.profile else "trending" if category_id is None else "cold_start_category"
    return dump({
        "user_id": user_id,
        "recommendations": placed(listed),
        "strategy": strategy,
        "recommendation_id": str(uuid7()),
        "model_version": found.version,
        "generated_at": now(),
    })  # fmt: skip


def reason_of(
    product: dict[str, Any], tier: int, source_id: int | None, source_name: str | None, kind: str | None
) -> dict[str, Any]:
    """Return why a product is in the answer, in words that can be shown."""
    if source_id is not None and source_name is not None:
        return {
            "kind": "similar", "product_id": source_id, "product_name": source_name,
            "text": f"Because you {PAST.get(kind or '', 'looked at')} {source_name}",
        }  # fmt: skip
    if tier == 0 and product["category"]:
        return {
            "kind": "taste",
            "product_id": None,
            "product_name": None,
            "text": f"Because you like {product['category']}",
        }
    if tier <= 1:
        return {"kind": "trending", "product_id": None, "product_name": None, "text": "Trending now"}
    return {"kind": "popular", "product_id": None, "product_name": None, "text": "Popular in this shop"}


def without_database(user_id: str, popular: list[tuple[dict[str, Any], float]]) -> bytes:
    """Return what is shown while Postgres is away: the popular products that Redis holds."""
    if not popular:
        raise DatabaseUnavailable("Neither Postgres nor a stored answer is there; try again in a moment.")
    return dump({
        "user_id": user_id,
        "recommendations": placed([(product, score, {}) for product, score in popular]),
        "strategy": "popular",
        "recommendation_id": str(uuid7()),
        "model_version": None,
        "generated_at": now(),
    })  # fmt: skip


def similar(product_id: int, k: int) -> bytes:
    """Compute /similar-products. Raises ProductNotFound."""
    found = storage.similar(product_id, k)
    if not found and not storage.product_exists(product_id):
        raise ProductNotFound(f"There is no product {product_id}.")
    products = placed([(product, score, {}) for product, score in found])
    return dump({"product_id": product_id, "similar_products": products, "generated_at": now()})


def trending(window: str, category_id: int | None, k: int) -> bytes:
    """Compute /trending. Raises CategoryNotFound."""
    found = storage.trending(window, category_id, k)
    if not found and category_id is not None and not storage.category_exists(category_id):
        raise CategoryNotFound(f"There is no category {category_id}; GET /products/categories lists them.")
    products = placed([(product, score, {"event_count": count}) for product, score, count in found])
    return dump({"window": window, "products": products, "generated_at": now()})


def popular(found: Sequence[tuple[dict[str, Any], float]]) -> bytes:
    """Return /popular."""
    return dump({"products": placed([(product, score, {}) for product, score in found]), "generated_at": now()})


def recently_viewed(user_id: str, k: int) -> bytes:
    """Compute /recently-viewed."""
    found = storage.recently_viewed(user_id, k)
    products = placed([(product, 0.0, {"viewed_at": at.isoformat()}) for product, at in found])
    return dump({"user_id": user_id, "products": products, "generated_at": now()})
