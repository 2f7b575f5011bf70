"""GET /recommendations: what to show a user next, from everything they did until a second ago."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from functions.recommendations.ranked_products import ranked_products
from functions.recommendations.reasons import Reasons
from functions.recommendations.schemas.recommendations import Recommendations, RecommendationsQuery
from shared.auth import NamedShopper, bearer, own
from shared.domain.events import uuid7
from shared.domain.ranking import distance_km
from shared.errors import AppError, DatabaseUnavailable, Unauthorized
from shared.http import computed, private
from shared.http.answers import CACHE_HIT, CACHE_MISS, dump
from shared.http.api import OWNED, problem_responses
from shared.selection import RecommendationsRequest, find_new, refuse_unknown, select_products, strategy_of
from shared.storage.answers import popular_ranking, user_answers
from shared.storage.recommending import answer_products
from shared.storage.recommending.attribution import LoggedAnswer
from shared.storage.recommending.candidates import CandidateSet, read_candidates
from shared.telemetry import metrics

PATH = "/recommendations"

router = APIRouter()


def find_stored(scope: Scope) -> Awaitable[bytes | None] | None:
    """Look up a stored answer without entering the application; None if the request is not for this route."""
    if scope["path"] != PATH:
        return None
    query: bytes = scope["query_string"]
    gzipped = False
    authorization = None
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            gzipped = b"gzip" in value
        elif name == b"authorization":
            authorization = value.decode("latin-1")
    try:
        user_id = own(user_id_in(query), bearer(authorization) if authorization else None, scope.get("aisle.key"))
    except AppError:
        # the application answers with the problem
        return None
    return user_answers.find(user_id, query, gzipped=gzipped)


def user_id_in(query: bytes) -> str | None:
    """Return the user id of a raw query string, or None. Raises Unauthorized if it has several."""
    value = None
    for part in query.split(b"&"):
        if part.startswith(b"user_id="):
            if value is not None:
                raise Unauthorized("The query must contain user_id only once.")
            value = part[8:]
    if not value:
        return None
    text = value.decode("latin-1")
    return unquote_plus(text) if "%" in text or "+" in text else text


@router.get(
    PATH,
    response_model=Recommendations,
    response_model_exclude_unset=True,
    responses=OWNED | problem_responses(404),
)
async def get_recommendations(
    request: Request, user_id: NamedShopper, query: Annotated[RecommendationsQuery, QueryParameters()]
) -> Response:
    """Recommend products to a user.

    Everything the user did until a second ago counts. The products of the current session (`product_id`, `recent`)
    count as views made just now, so that a user without history gets a personal answer too. Without history and
    session, the answer has trending products, of the requested category if there is one. Unless `repeats` says
    otherwise, what the user bought or has just viewed is left out as long as there is enough else. While the database
    is unavailable, the answer has popular products.
    """
    raw_query: bytes = request.scope["query_string"]
    try:
        before = await user_answers.read_before_computing(user_id, raw_query)
        if before is not None and before.body is not None:
            return private(before.body, headers={"Cache-Status": CACHE_HIT})
        body = await computed(recommend, recommendations_request(user_id, query))
        if before is not None:
            await user_answers.store(user_id, raw_query, body, before)
            return private(body, headers={"Cache-Status": CACHE_MISS})
    except DatabaseUnavailable:
        body = popular_instead(user_id, await popular_ranking.top(query.k))
    return private(body)


def recommendations_request(user_id: str, query: RecommendationsQuery) -> RecommendationsRequest:
    """Return the request of validated parameters: the product being looked at leads the context and is excluded."""
    location = None if query.latitude is None or query.longitude is None else (query.latitude, query.longitude)
    return RecommendationsRequest(
        user_id,
        query.k,
        query.category_reference,
        query.excluded,
        query.in_stock,
        query.explain,
        location,
        query.context,
        query.diversity,
        query.repeats,
    )


def recommend(request: RecommendationsRequest) -> bytes:
    """Compute the answer in two statements: the candidates, then the products. Exploration costs a third.

    Raises CategoryNotFound, DatabaseUnavailable, and InvalidRequest for two ids that are not the same product's.
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
    return dump(answer_of(listed, log, found))


def product_distance_km(location: tuple[float, float], product: dict[str, Any]) -> float | None:
    """Return the distance of a product from a place; None for a product without a place."""
    if product["latitude"] is None:
        return None
    return round(distance_km(*location, product["latitude"], product["longitude"]), 3)


def answer_of(
    listed: list[tuple[dict[str, Any], float, dict[str, Any]]], log: LoggedAnswer, found: CandidateSet
) -> dict[str, Any]:
    """Return the answer of ``(product, score, further fields)``, best first, as it is logged."""
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


def popular_instead(user_id: str, popular: list[tuple[dict[str, Any], float]]) -> bytes:
    """Return the answer while Postgres is unavailable: the live ranking. Raises DatabaseUnavailable if it is empty."""
    if not popular:
        raise DatabaseUnavailable("Neither the database nor a stored answer is available; try again in a moment.")
    metrics.record(metrics.ANSWERS, 1, {"aisle.strategy": "popular"})
    return dump(
        {
            "user_id": user_id,
            "recommendations": ranked_products((product, purchases, {}) for product, purchases in popular),
            "strategy": "popular",
            "recommendation_id": str(uuid7()),
            "model_version": None,
            "algorithm": None,
            "generated_at": datetime.now(UTC),
        }
    )
