"""Explanation of a personal recommendation list: each candidate's score components, and why it is in the list or not.

The list is computed by the same functions that serve it (shared/selection.py) and the same candidate statement.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from shared.clients import postgres
from shared.domain.formula import BOUGHT_TIER, NEWEST_TIER, POPULAR_TIER, TRENDING_TIER, VIEWED_TIER
from shared.domain.ranking import Candidate, Ranked
from shared.domain.rules import Rule, applied
from shared.selection import (
    RecommendationsRequest,
    find_new,
    rank_candidates,
    refuse_unknown,
    select_products,
    strategy_of,
)
from shared.storage.recommending import candidates
from shared.storage.recommending.candidates import CandidateSet, ExplainedCandidates
from shared.storage.recommending.explained_products import category_paths, read_products

# The origin of a candidate by tier; for the first tier, `_origin` is more specific.
ORIGINS: Final = {
    TRENDING_TIER: "trending",
    POPULAR_TIER: "popular",
    NEWEST_TIER: "newest",
    VIEWED_TIER: "viewed_before",
    BOUGHT_TIER: "bought_before",
}
# Maximum number of profile products that an explanation names for a candidate.
SOURCES_MAX: Final = 3


class _Outcome(NamedTuple):
    """A product in the explanation, before its texts are read."""

    id: int
    place: int | None
    reasons: list[str]
    origin: str | None
    ranked: Ranked | None
    cf: float
    rules: list[Rule]


def explain(
    request: RecommendationsRequest, read: Callable[..., Sequence[Sequence[Any]]] | None = None
) -> dict[str, Any]:
    """Return all candidates for a request: first those in the list, in its order.

    ``read`` runs the statements, so that the effect of an uncommitted transaction can be explained. Nothing is logged.
    Raises CategoryNotFound, DatabaseUnavailable, and InvalidRequest for two ids that belong to different products.
    """
    explained = candidates.read_explained(
        request.user_id,
        k=request.k,
        repeats=request.repeats,
        category=request.category,
        exclude=request.exclude,
        in_stock=bool(request.in_stock),
        context=request.context,
        read=read or postgres.read,
    )
    found = explained.candidates
    refuse_unknown(request, found)
    new = find_new(request, found, read or postgres.run_prepared)
    selection = select_products(request, found, new)
    without_rules = select_products(request, replace(found, rules=[]), new)
    outcomes = _outcomes(request, explained, selection.ids, selection.new)
    names = [product_id for outcome in outcomes for product_id, _cf in _sources(explained, outcome.id)]
    profile_ids = [product_id for product_id, _weight, _event_type in found.profile]
    products = read_products([*(outcome.id for outcome in outcomes), *names, *profile_ids], read or postgres.read)
    before_rules = {product_id: place for place, product_id in enumerate(without_rules.ids, start=1)}
    return {
        "user_id": request.user_id,
        "strategy": strategy_of(request, found),
        "model_version": found.version,
        "algorithm": found.algorithm,
        "formula": found.formula.parameters(),
        "profile": [
            {"product_id": product_id, "name": _name(products, product_id), "weight": weight, "event_type": event_type}
            for product_id, weight, event_type in sorted(found.profile, key=lambda line: (-line[1], line[0]))
        ],
        "taste": _taste(found, read or postgres.read),
        "rules": [_rule(rule) for rule in found.rules],
        "candidates": [
            _candidate(outcome, explained, products, before_rules.get(outcome.id))
            for outcome in outcomes
            if outcome.id in products
        ],
    }


def _outcomes(
    request: RecommendationsRequest, explained: ExplainedCandidates, ids: Sequence[int], new: Sequence[int]
) -> list[_Outcome]:
    """Return the outcome for each product: the list, the other candidates by rank, and what was left out."""
    found = explained.candidates
    factors, _rules = applied(found.rules, found.candidates)
    ranking = rank_candidates(request, found, len(found.candidates), factors)
    ranked = {product.id: product for product in ranking}
    by_id = {candidate.id: candidate for candidate in found.candidates}
    place_of = {product_id: place for place, product_id in enumerate(ids, start=1)}
    # ranking left out the variants of better candidates
    others = [*ranked, *(candidate.id for candidate in found.candidates if candidate.id not in ranked)]

    def outcome(product_id: int) -> _Outcome:
        candidate, place = by_id.get(product_id), place_of.get(product_id)
        rules = [rule for rule in found.rules if _concerns(rule, product_id, candidate)]
        if place is None:
            reasons = _reasons_against(request, candidate, product_id in ranked)
        else:
            pinned = any(rule.kind == "pin" for rule in rules)
            reasons = ["pinned"] if pinned else ["new"] if product_id in new else []
        origin = "rule" if candidate is None and product_id not in new else _origin(explained, candidate)
        cf = 0.0 if candidate is None else candidate.cf
        return _Outcome(product_id, place, reasons, origin, ranked.get(product_id), cf, rules)

    listed = [*ids, *(product_id for product_id in others if product_id not in place_of)]
    left_out = [
        _Outcome(product.id, None, product.reasons or ["below_cut"], None, None, product.cf, [])
        for product in explained.left_out
        if product.id not in place_of and product.id not in by_id
    ]
    return [*(outcome(product_id) for product_id in listed), *left_out]


def _concerns(rule: Rule, product_id: int, candidate: Candidate | None) -> bool:
    """Whether a rule moves a product."""
    if rule.kind == "pin":
        return rule.product_id == product_id and rule.eligible
    return candidate is not None and rule.factor is not None and rule.matches(candidate)


def _reasons_against(request: RecommendationsRequest, candidate: Candidate | None, is_ranked: bool) -> list[str]:
    """Return why a candidate is not in the answer."""
    if not is_ranked:
        return ["variant"]
    if candidate is not None and not candidate.in_stock and request.in_stock is not False:
        # products in stock come first
        return ["sold_out", "below_cut"]
    return ["below_cut"]


def _origin(explained: ExplainedCandidates, candidate: Candidate | None) -> str:
    """Return what suggested a candidate: the model, similar content, the taste, or a list that fills the answer."""
    if candidate is None:
        return "new"
    if candidate.tier in ORIGINS:
        return ORIGINS[candidate.tier]
    if candidate.id in explained.contributions:
        return "model"
    return "content" if candidate.cf > 0 else "taste"


def _sources(explained: ExplainedCandidates, product_id: int) -> list[tuple[int, float]]:
    return explained.contributions.get(product_id, [])[:SOURCES_MAX]


def _taste(found: CandidateSet, read: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return the user's taste, each part with its weight in the affinity of a product, greatest first."""
    category_ids = [int(key) for key in found.taste.scores.get("category", {})]
    paths = category_paths(category_ids, read) if category_ids else {}
    lines = [
        {"kind": kind, "key": key, "name": paths.get(int(key), key) if kind == "category" else key, "weight": share}
        for kind, shares in found.taste.shares.items()
        for key, share in shares.items()
    ]
    return sorted(lines, key=lambda line: (-line["weight"], line["kind"], line["key"]))


def _candidate(
    outcome: _Outcome, explained: ExplainedCandidates, products: dict[int, dict[str, Any]], before_rules: int | None
) -> dict[str, Any]:
    ranked = outcome.ranked
    return {
        "product": products[outcome.id],
        "place": outcome.place,
        "place_without_rules": before_rules,
        "verdict": "out" if outcome.place is None else "in",
        "reasons": outcome.reasons,
        "origin": outcome.origin,
        "score": None if ranked is None else ranked.score,
        "parts": None
        if ranked is None
        else {
            "profile": ranked.from_profile,
            "taste": ranked.from_taste,
            "trend": ranked.from_trend,
            "nearness": ranked.nearness,
            "rules": ranked.factor,
        },
        "collaborative_score": outcome.cf,
        "sources": [
            {"product_id": product_id, "name": _name(products, product_id), "part": cf}
            for product_id, cf in _sources(explained, outcome.id)
        ],
        "rules": [_rule(rule) for rule in outcome.rules],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "kind": rule.kind, "text": rule.text, "factor": rule.factor, "position": rule.position}


def _name(products: dict[int, dict[str, Any]], product_id: int) -> str | None:
    """Return a product's name; None if it was deleted."""
    product = products.get(product_id)
    return None if product is None else str(product["name"])
