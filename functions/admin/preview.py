"""Route of the preview: what a user or a session is shown, and why."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.preview import Preview, PreviewQuery
from shared.auth import requires
from shared.domain.product_references import ProductReference
from shared.explanation import explain
from shared.http.parameters import ids_in
from shared.selection import RecommendationsRequest

router = APIRouter(prefix="/preview", tags=["preview"])


@router.get("", dependencies=[requires("users:read")], response_model=Preview)
def get_preview(request: Request, query: Annotated[PreviewQuery, QueryParameters()]) -> Response:
    """Explain the recommendations of a user or a session: each candidate, what its score consists of, and its place.

    The products with a `place` are those of `GET /recommendations` with the same parameters, in the same order. The
    other candidates follow, and then products that were left out. Nothing is logged: a preview is no answer to a
    shopper.
    """
    viewed = [] if query.product_id is None else [ProductReference(query.product_id)]
    recent = [ProductReference(product_id) for product_id in ids_in(query.recent, query.max_recent)]
    body = explain(
        RecommendationsRequest(
            query.user_id or "",
            query.k,
            exclude=viewed,
            in_stock=query.in_stock,
            context=[*viewed, *recent],
            diversity=query.diversity,
            repeats=query.repeats,
        )
    )
    return private(request, body | {"user_id": query.user_id})
