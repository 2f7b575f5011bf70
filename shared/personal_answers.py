"""A user's recommendations as a response body, computed for a request or ahead of one."""

from datetime import UTC, datetime
from typing import Any

import orjson

from shared.domain.events import uuid7
from shared.domain.ranking import distance_km
from shared.ranked_products import ranked_products
from shared.reasons import Reasons
from shared.selection import RecommendationsRequest, find_new, refuse_unknown, select_products, strategy_of
from shared.storage.recommending import answer_products
from shared.storage.recommending.attribution import LoggedAnswer
from shared.storage.recommending.candidates import CandidateSet, read_candidates
from shared.telemetry import metrics


def recommend(request: RecommendationsRequest) -> bytes:
    """Compute the answer in two statements: the candidates, then the products. Exploration needs a third statement.

    Raises CategoryNotFound, DatabaseUnavailable, and InvalidRequest for two ids that belong to different products.
    """
    found = read_candidates(
        request.user_id,
        k=request.k,
        repeats=request.repeats,
        category=request.category,
        exclude=request.exclude,
        in_stock=bool(request.in_stock),
        context=request.context,
    )
    refuse_unknown(request, found)
    selection = select_products(request, found, find_new(request, found))
    log = LoggedAnswer(str(uuid7()), request.user_id, "recommendations", strategy_of(request, found), found.version)
    scores = selection.scores
    listed: list[tuple[dict[str, Any], float, dict[str, Any]]]
    if request.explain:
        reasons = Reasons(found, selection)
        listed = [
            (product, scores.get(product["id"], 0.0), {"reason": reasons.reason(product, source)})
            for product, source in answer_products.read_with_sources(selection.ids, log, found)
        ]
    else:
        listed = [(product, scores.get(product["id"], 0.0), {}) for product in answer_products.read(selection.ids, log)]
    if request.location is not None:
        for product, _score, fields in listed:
            fields["distance_km"] = product_distance_km(request.location, product)
    return orjson.dumps(answer_of(listed, log, found))


def product_distance_km(location: tuple[float, float], product: dict[str, Any]) -> float | None:
    """Return a product's distance in km from a location; None for a product without a location."""
    if product["latitude"] is None:
        return None
    return round(distance_km(*location, product["latitude"], product["longitude"]), 3)


def answer_of(
    listed: list[tuple[dict[str, Any], float, dict[str, Any]]], log: LoggedAnswer, found: CandidateSet
) -> dict[str, Any]:
    """Return the response for ``(product, score, further fields)``, best first, as it is logged."""
    metrics.record(metrics.ANSWERS, 1, {"aisle.strategy": log.strategy})
    if found.version is not None:
        metrics.record(metrics.MODEL_VERSION, found.version, {})
    return {
        "user_id": log.user_id,
        "recommendations": ranked_products(listed),
        "strategy": log.strategy,
        "recommendation_id": log.id,
        "model_version": found.version,
        "algorithm": found.algorithm,
        "generated_at": datetime.now(UTC),
    }
