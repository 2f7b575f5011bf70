"""POST /recommendations/batch: recommendations for many users, for the shop's server."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations.schemas.batch import RecommendationsBatch, RecommendationsBatchRequest
from shared.domain.events import uuid7
from shared.http import computed, private
from shared.http.answers import dump
from shared.http.api import charge, problem_responses
from shared.http.credentials import key_or
from shared.personal_answers import answer_of
from shared.selection import RecommendationsRequest, select_products, strategy_of
from shared.storage.recommending import answer_products
from shared.storage.recommending.attribution import LoggedAnswer
from shared.storage.recommending.candidates import read_candidates_of

router = APIRouter()


@router.post(
    "/recommendations/batch",
    response_model=RecommendationsBatch,
    response_model_exclude_unset=True,
    responses=problem_responses(401, 403, 404),
    # whoever may run jobs may have the recommendations of all users written to a file
    dependencies=[key_or("jobs:run")],
)
async def list_user_recommendations(request: Request, batch: RecommendationsBatchRequest) -> Response:
    """Recommend products to up to 100 users.

    For the shop's server, for example to fill emails. Requires a secret API key or a staff member's token. The answers
    are those of `GET /recommendations`, in the order of the users, but no positions are reserved for new products
    (`EXPLORATION_SHARE`). A batch counts as one request per user in the rate limit.
    """
    charge(request, len(batch.user_ids) - 1)
    return private(await computed(recommend_all, batch))


def recommend_all(batch: RecommendationsBatchRequest) -> bytes:
    """Compute the answers in two statements: the candidates of all users, then their products.

    Raises CategoryNotFound and DatabaseUnavailable.
    """
    candidate_sets = read_candidates_of(
        batch.user_ids,
        k=batch.k,
        repeats=batch.repeats,
        category=batch.category_reference,
        exclude=batch.excluded,
        in_stock=bool(batch.in_stock),
    )
    if not candidate_sets[0].category_known:
        raise batch.category_reference.not_found()
    selections = []
    logs = []
    for user_id, found in zip(batch.user_ids, candidate_sets, strict=True):
        request = RecommendationsRequest(
            user_id, batch.k, batch.category_reference, batch.excluded, batch.in_stock, repeats=batch.repeats
        )
        selections.append(select_products(request, found))
        strategy = strategy_of(request, found)
        logs.append(LoggedAnswer(str(uuid7()), user_id, "recommendations", strategy, found.version))
    products = answer_products.read_many(
        [(log, selection.ids) for log, selection in zip(logs, selections, strict=True)]
    )
    answers: list[dict[str, Any]] = []
    for found, selection, log in zip(candidate_sets, selections, logs, strict=True):
        listed: list[tuple[dict[str, Any], float, dict[str, Any]]] = [
            (products[product_id], selection.scores.get(product_id, 0.0), {})
            for product_id in selection.ids
            if product_id in products
        ]
        answers.append(answer_of(listed, log, found))
    return dump({"answers": answers})
