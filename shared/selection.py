"""Selection of the products in a personal recommendation list from its candidates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.category_references import ANY_CATEGORY, CategoryReference
from shared.domain.diversity import diversify
from shared.domain.exploration import count_reserved, insert_new
from shared.domain.formula import VIEWED_TIER, Repeats
from shared.domain.product_references import ProductReference, contradiction
from shared.domain.ranking import Ranked, rank
from shared.domain.rules import Rule, applied, with_pins
from shared.settings import settings
from shared.storage.recommending import exploration
from shared.storage.recommending.candidates import CandidateSet


@dataclass(frozen=True)
class RecommendationsRequest:
    """A request for recommendations. ``context`` are the products that the user is looking at, newest first."""

    user_id: str
    k: int
    category: CategoryReference = ANY_CATEGORY
    exclude: Sequence[ProductReference] = ()
    in_stock: bool | None = None
    explain: bool = False
    location: tuple[float, float] | None = None
    context: Sequence[ProductReference] = ()
    diversity: float = 0.0
    repeats: Repeats = "exclude"


class UnreadableRequest(ValueError):
    """A packed request that this release does not understand."""


def packed_request(request: RecommendationsRequest) -> bytes:
    """Return a request as JSON, from which ``request_of`` restores it."""
    values = {field.name: getattr(request, field.name) for field in fields(request)}
    values["category"] = tuple(request.category)
    for name in ("exclude", "context"):
        values[name] = [tuple(reference) for reference in values[name]]
    return orjson.dumps(values)


def request_of(packed: bytes) -> RecommendationsRequest:
    """Return the request packed by ``packed_request``. Raises UnreadableRequest if another release packed it."""
    try:
        values = orjson.loads(packed)
        values["category"] = CategoryReference(*values["category"])
        for name in ("exclude", "context"):
            values[name] = [ProductReference(*reference) for reference in values[name]]
        if values["location"] is not None:
            values["location"] = tuple(values["location"])
        return RecommendationsRequest(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableRequest(str(error)) from error


class Selection(NamedTuple):
    """Product ids, best first; the candidates' scores; the rules that moved products; the new products inserted."""

    ids: list[int]
    scores: dict[int, float]
    rules: dict[int, Rule]
    new: list[int]


def refuse_unknown(request: RecommendationsRequest, candidates: CandidateSet) -> None:
    """Raise CategoryNotFound for an unknown category, InvalidRequest for two ids that belong to different products."""
    if not candidates.category_known:
        raise request.category.not_found()
    if candidates.contradiction is not None:
        raise contradiction(*candidates.contradiction)


def find_new(
    request: RecommendationsRequest,
    candidates: CandidateSet,
    run: Callable[..., Sequence[Sequence[Any]]] = postgres.run_prepared,
) -> list[tuple[int, str | None]]:
    """Return new products to insert, best first, with their variant groups. ``run`` runs the statement.

    Empty, and no statement runs, unless EXPLORATION_SHARE is set and there is a profile. If the request wants only
    products known to the user, none is new.
    """
    if request.repeats == "only":
        return []
    return exploration.nearest_new(
        request.user_id,
        candidates.profile,
        count_reserved(settings().exploration_share, request.k),
        days=settings().exploration_days,
        category=request.category,
        exclude=request.exclude,
        in_stock=request.in_stock is not False,
        run=run,
    )


def rank_candidates(
    request: RecommendationsRequest, candidates: CandidateSet, k: int, factors: Mapping[int, float]
) -> list[Ranked]:
    """Return the best ``k`` candidates by the serving formula, best first. ``factors`` are those of the rules."""
    return rank(
        candidates.candidates,
        candidates.taste,
        candidates.formula,
        k,
        n_known=len(candidates.profile),
        location=request.location or candidates.location,
        half_km=settings().distance_half_km,
        stock_first=request.in_stock is not False,
        factors=factors,
    )


def strategy_of(request: RecommendationsRequest, candidates: CandidateSet) -> str:
    """Return the name of the strategy that chooses the products."""
    if candidates.profile:
        return "personalized"
    return "trending" if request.category == ANY_CATEGORY else "cold_start_category"


def select_products(
    request: RecommendationsRequest, candidates: CandidateSet, new: Sequence[tuple[int, str | None]] = ()
) -> Selection:
    """Rank the candidates, diversify, insert new products (see ``find_new``), and apply the shop's rules."""
    groups = {product.id: product.group for product in candidates.candidates if product.group is not None}
    factors, rules = applied(candidates.rules, candidates.candidates)
    k = request.k if request.diversity == 0 else len(candidates.candidates)
    ranked = rank_candidates(request, candidates, k, factors)
    ids = [product.id for product in ranked[: request.k]]
    if request.diversity > 0:
        products = {candidate.id: candidate for candidate in candidates.candidates}
        # Known products that return come last, even if they would add variety.
        returned = [product.id for product in ranked if products[product.id].tier >= VIEWED_TIER]
        others = [
            (product.id, product.score, products[product.id].category_id)
            for product in ranked
            if products[product.id].tier < VIEWED_TIER
        ]
        ids = [*diversify(others, request.k, request.diversity), *returned][: request.k]
    if new:
        # No other variant of a product already in the list.
        shown = {groups[product_id] for product_id in ids if product_id in groups}
        new = [(product_id, group) for product_id, group in new if group not in shown or product_id in ids]
        groups |= {product_id: group for product_id, group in new if group is not None}
    new_ids = [product_id for product_id, _group in new]
    ids = insert_new(ids, new_ids, settings().exploration_share, request.k)
    ids, pins = with_pins(ids, candidates.rules, request.k, groups)
    return Selection(ids, {product.id: product.score for product in ranked}, rules | pins, new_ids)
