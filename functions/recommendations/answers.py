"""Computing each answer of the recommendations function from what storage returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from shared.domain.diversity import diversified
from shared.domain.events import uuid7
from shared.domain.exploration import with_new
from shared.domain.formula import NEWEST_TIER
from shared.domain.product import Product
from shared.domain.ranking import rank
from shared.domain.rules import Rule, applied, with_pins
from shared.errors import CategoryNotFound, DatabaseUnavailable, ProductNotFound
from shared.http.answers import dump
from shared.settings import settings
from shared.storage.recommending import exploration, similar_products
from shared.storage.recommending import listings as storage
from shared.storage.recommending.attribution import Logged
from shared.storage.recommending.candidates import CandidateSet, read_candidates

PAST = {"view": "viewed", "purchase": "bought", "add_to_cart": "added", "wishlist": "wished for"}


class Reason(BaseModel):
    """Why a product is shown: again (met before), similar, taste, trending, popular, new, or rule (an admin's)."""

    kind: Literal["again", "similar", "taste", "trending", "popular", "new", "rule"]
    product_id: int | None
    product_name: str | None
    text: str
    rule_id: int | None = None


class RankedProduct(Product):
    """A product with its place in the answer. ``score`` compares products of one answer only."""

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
    recommendation_id: str | None = None
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


@dataclass(frozen=True)
class Asked:
    """What /recommendations was asked; ``context`` are products looked at right now, newest first."""

    user_id: str
    k: int
    category_id: int | None = None
    exclude: Sequence[int] = ()
    in_stock: bool | None = None
    explain: bool = False
    place: tuple[float, float] | None = None
    context: Sequence[int] = ()
    diversity: float = 0.0


def explored(asked: Asked, found: CandidateSet) -> list[int]:
    """Return the new products that have places of their own; none unless the shop sets a share, or without a profile.

    A statement more, and only then.
    """
    share = settings().exploration_share
    return exploration.nearest_new(
        found.profile,
        int(asked.k * share + 1e-9),
        days=settings().exploration_days,
        category_id=asked.category_id,
        exclude=asked.exclude,
        in_stock=asked.in_stock is not False,
    )


def chosen(
    asked: Asked, found: CandidateSet, new: Sequence[int] = ()
) -> tuple[list[int], dict[int, float], dict[int, Rule]]:
    """Return the ids to show, best first, the candidates' scores, and the rules that moved products."""
    factors, because = applied(found.rules, found.candidates)
    best = rank(
        found.candidates,
        found.taste,
        found.formula,
        asked.k if asked.diversity == 0 else len(found.candidates),
        location=asked.place or found.location,
        half_km=settings().distance_half_km,
        stock_first=asked.in_stock is not False,
        factors=factors,
    )
    category = {one.id: one.category_id for one in found.candidates}
    ids = diversified([(one.id, one.score, category[one.id]) for one in best], asked.k, asked.diversity)
    ids = with_new(ids, new, settings().exploration_share, asked.k)
    ids, pins = with_pins(ids, found.rules, asked.k)
    return ids, {one.id: one.score for one in best}, because | pins


def personal(asked: Asked) -> bytes:
    """Compute /recommendations in two statements: candidates, then the products shown; see ``explored`` for a third.

    Raises CategoryNotFound.
    """
    found = read_candidates(
        asked.user_id,
        k=asked.k,
        category_id=asked.category_id,
        exclude=list(asked.exclude),
        in_stock=bool(asked.in_stock),
        context=list(asked.context),
    )
    if not found.category_known:
        raise CategoryNotFound(f"There is no category {asked.category_id}; GET /products/categories lists them.")
    new = explored(asked, found)
    ids, scores, because = chosen(asked, found, new)
    strategy = "personalized" if found.profile else "trending" if asked.category_id is None else "cold_start_category"
    log = Logged(str(uuid7()), asked.user_id, "recommendations", strategy, found.version)
    if asked.explain:
        products = storage.shown_with_reason(ids, log, found)
    else:
        products = [(product, None, None, None) for product in storage.shown(ids, log)]
    tiers = {one.id: one.tier for one in found.candidates}
    met = {product_id: kind for product_id, _weight, kind in found.profile}
    listed = []
    for product, source_id, source_name, kind in products:
        key = product["id"]
        more = {}
        if asked.explain:
            if key in because:
                more["reason"] = reason_of_rule(because[key])
            elif key in met:
                more["reason"] = reason_of_meeting(product, met[key])
            elif key in new and tiers.get(key, NEWEST_TIER) == NEWEST_TIER:
                more["reason"] = {"kind": "new", "product_id": None, "product_name": None, "text": "New for you"}
            else:
                more["reason"] = reason_of(product, tiers[key], source_id, source_name, kind)
        listed.append((product, scores.get(key, 0.0), more))
    return dump(
        {
            "user_id": asked.user_id,
            "recommendations": placed(listed),
            "strategy": strategy,
            "recommendation_id": log.id,
            "model_version": found.version,
            "generated_at": now(),
        }
    )


def reason_of_rule(rule: Rule) -> dict[str, Any]:
    """Return the reason of a product that a rule put where it is."""
    return {"kind": "rule", "product_id": None, "product_name": None, "text": rule.text, "rule_id": rule.id}


def reason_of_meeting(product: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the reason of a product that the user has met before: nothing speaks for it as much."""
    return {
        "kind": "again",
        "product_id": product["id"],
        "product_name": product["name"],
        "text": f"You {PAST.get(kind, 'looked at')} this before",
    }


def reason_of(
    product: dict[str, Any], tier: int, source_id: int | None, source_name: str | None, kind: str | None
) -> dict[str, Any]:
    """Return why a product is in the answer, in words that can be shown."""
    if source_id is not None and source_name is not None:
        return {
            "kind": "similar",
            "product_id": source_id,
            "product_name": source_name,
            "text": f"Because you {PAST.get(kind or '', 'looked at')} {source_name}",
        }
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
    return dump(
        {
            "user_id": user_id,
            "recommendations": placed([(product, score, {}) for product, score in popular]),
            "strategy": "popular",
            "recommendation_id": str(uuid7()),
            "model_version": None,
            "generated_at": now(),
        }
    )


def similar(product_id: int, k: int, user_id: str | None = None) -> bytes:
    """Compute /similar-products; for a user, with the id under which what becomes of it is counted.

    Raises ProductNotFound.
    """
    log = None if user_id is None else Logged(str(uuid7()), user_id, "similar", "similar", None)
    found = similar_products.similar(product_id, k, log)
    if not found and not storage.product_exists(product_id):
        raise ProductNotFound(f"There is no product {product_id}.")
    answer: dict[str, Any] = {"product_id": product_id, "similar_products": placed([(*one, {}) for one in found])}
    if log is not None:
        answer["recommendation_id"] = log.id
    return dump(answer | {"generated_at": now()})


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
