"""Routes of the preview: what a user or a session is shown, and why, and what a rule would change."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.preview import Preview, PreviewQuery
from functions.admin.schemas.rule_preview import RuleDraft, RulePreview
from shared.clients import postgres
from shared.domain.comparison import compare
from shared.domain.product_references import ProductReference
from shared.explanation import explain
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.http.parameters import ids_in
from shared.selection import RecommendationsRequest
from shared.storage.recommending import rules

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


@router.post("", dependencies=[requires("users:read")], responses=problem_responses(404))
def check_rule(draft: RuleDraft) -> RulePreview:
    """Compare the recommendations of a user or a new visitor with those under a rule that is not saved yet.

    The rule counts as in force, whatever its period and `active` say. Both answers come from the code that serves
    recommendations, in a transaction that is rolled back: nothing is stored, and no shopper sees the rule.
    """
    viewed = [] if draft.product_id is None else [ProductReference(draft.product_id)]
    request = RecommendationsRequest(
        draft.user_id or "", draft.k, exclude=viewed, in_stock=draft.in_stock, context=viewed, repeats=draft.repeats
    )
    rule = draft.rule.model_dump() | {"active": True, "starts_at": None, "ends_at": None}
    with postgres.trial() as connection:

        def read(sql: str, **parameters: Any) -> Any:
            return postgres.execute(connection, sql, parameters)

        before = explain(request, read)
        if draft.rule_id is None:
            rules.add(connection, rule)
        else:
            rules.lock(connection, draft.rule_id)
            rules.change(connection, draft.rule_id, rule)
        after = explain(request, read)
    old, new = (
        [candidate["product"] for candidate in answer["candidates"] if candidate["verdict"] == "in"]
        for answer in (before, after)
    )
    places = compare([product["id"] for product in old], [product["id"] for product in new])
    return RulePreview.model_validate(
        {
            "user_id": draft.user_id,
            "strategy": after["strategy"],
            "changes": any(place.change != "same" for place in (*places.before, *places.after)),
            "before": [
                {"product": product} | place._asdict() for product, place in zip(old, places.before, strict=True)
            ],
            "after": [{"product": product} | place._asdict() for product, place in zip(new, places.after, strict=True)],
        }
    )
