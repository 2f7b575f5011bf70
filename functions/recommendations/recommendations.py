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

from functions.recommendations.schemas.recommendations import Recommendations, RecommendationsQuery
from shared.auth import bearer, own
from shared.domain.events import uuid7
from shared.errors import AppError, DatabaseUnavailable, Unauthorized
from shared.http import computed, private
from shared.http.answers import CACHE_HIT, CACHE_MISS, dump
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import NamedShopper
from shared.personal_answers import recommend
from shared.ranked_products import ranked_products
from shared.selection import RecommendationsRequest, packed_request
from shared.storage.answers import popular_ranking, user_answers
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
        asked = recommendations_request(user_id, query)
        body = await computed(recommend, asked)
        if before is not None:
            await user_answers.store(user_id, raw_query, packed_request(asked), body, before)
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
