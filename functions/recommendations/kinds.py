"""Bought together, buy again, and what shoppers did with an answer."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations.answers import RankedProduct, now, placed
from shared.auth import MaybeShopper, NamedShopper
from shared.domain import replenishment
from shared.domain.events import uuid7
from shared.errors import NotFound, ProductNotFound
from shared.http import K, UserQuery, cached, fresh
from shared.http.answers import dump
from shared.http.api import OWNED, problem_responses
from shared.storage.recommending import attribution, bought_together, buy_again
from shared.storage.recommending.attribution import Logged

router = APIRouter()


def few_ids(value: str) -> str:
    """Check one product id or a short list of them."""
    if not re.fullmatch(r"[1-9]\d{0,14}(,[1-9]\d{0,14}){0,19}", value):
        raise ValueError("must be one product id or up to 20 separated by commas")
    return value


class TogetherQuery(UserQuery):
    """What /frequently-bought-together takes. With a user the answer has a recommendation_id."""

    product_id: Annotated[str, AfterValidator(few_ids)] = Field(
        description="a product's id, or those of several, such as a cart's, separated by commas"
    )
    k: K = 10
    in_stock: bool = Field(False, description="only what is in stock")


class BuyAgainQuery(UserQuery):
    """What /buy-again takes."""

    k: K = 10
    in_stock: bool = Field(False, description="only what is in stock")


class TogetherProduct(RankedProduct):
    """A product bought with the context's, with the measures of the context's product it goes with most."""

    lift: float = Field(description="how many times more often than by chance; above 1")
    confidence: float = Field(description="the share of that product's baskets that have this one too")
    count: int = Field(description="baskets that have both")


class Together(BaseModel):
    """The answer of /frequently-bought-together; ``product_id`` is a list where several were given."""

    product_id: int | list[int]
    products: list[TogetherProduct]
    recommendation_id: str | None = None
    generated_at: datetime


class AgainProduct(RankedProduct):
    """A product the user bought; ``due``: the usual interval has passed."""

    last_purchased_at: datetime
    purchase_count: int
    due: bool
    due_at: datetime


class BuyAgain(BaseModel):
    """The answer of /buy-again, most likely first."""

    user_id: str
    products: list[AgainProduct]
    recommendation_id: str
    generated_at: datetime


class Feedback(BaseModel):
    """What a shopper did with a product of an answer."""

    model_config = ConfigDict(extra="forbid")

    recommendation_id: UUID
    product_id: Annotated[int, Field(ge=1, le=2**53 - 1, strict=True)]
    action: Literal["impression", "click", "add_to_cart", "purchase"]
    position: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None


class Taken(BaseModel):
    """The feedback was stored, or was already."""

    status: Literal["accepted"]


def together(ids: list[int], query: TogetherQuery, user_id: str | None) -> bytes:
    """Compute /frequently-bought-together. Raises ProductNotFound."""
    log = None if user_id is None else Logged(str(uuid7()), user_id, "bought_together", "baskets", None)
    found = bought_together.together(ids, query.k, in_stock=query.in_stock, log=log)
    if not found and (unknown := bought_together.first_unknown(ids)) is not None:
        raise ProductNotFound(f"There is no product {unknown}.")
    answer: dict[str, Any] = {"product_id": ids[0] if len(ids) == 1 else ids, "products": placed(found)}
    if log is not None:
        answer["recommendation_id"] = log.id
    return dump(answer | {"generated_at": now()})


@router.get(
    "/frequently-bought-together",
    response_model=Together,
    response_model_exclude_unset=True,
    responses=OWNED | problem_responses(404),
)
async def frequently_bought_together(
    request: Request, user_id: MaybeShopper, query: Annotated[TogetherQuery, QueryParameters()]
) -> Response:
    """List what is bought in one order with a product, or with several."""
    ids = list(dict.fromkeys(int(one) for one in query.product_id.split(",")))
    if user_id is not None:
        # an answer of its own: what becomes of it is counted
        return fresh(request, await run_in_threadpool(together, ids, query, user_id), max_age_s=0, public=False)
    key = f"together:{','.join(map(str, ids))}:{query.k}:{int(query.in_stock)}"
    body = await cached("similar", key, ttl_s=3600, compute=lambda: together(ids, query, None))
    return fresh(request, body, max_age_s=60)


def again(user_id: str, query: BuyAgainQuery) -> bytes:
    """Compute /buy-again in one statement."""
    log = Logged(str(uuid7()), user_id, "buy_again", "replenishment", None)
    found = buy_again.again(user_id, query.k, spread=replenishment.SPREAD, in_stock=query.in_stock, log=log)
    generated = now()
    products = []
    for one in found:
        due_at = replenishment.due_at(one.last_purchased_at, one.usual_days)
        products.append(
            (
                one.product,
                one.score,
                {
                    "last_purchased_at": one.last_purchased_at,
                    "purchase_count": one.purchase_count,
                    "due": due_at <= datetime.fromisoformat(generated),
                    "due_at": due_at,
                },
            )
        )
    return dump(
        {
            "user_id": user_id,
            "products": placed(products),
            "recommendation_id": log.id,
            "generated_at": generated,
        }
    )


@router.get("/buy-again", response_model=BuyAgain, response_model_exclude_unset=True, responses=OWNED)
async def get_buy_again(user_id: NamedShopper, query: Annotated[BuyAgainQuery, QueryParameters()]) -> Response:
    """List what a user may need again, from the time since each purchase and how long it usually lasts."""
    body = await run_in_threadpool(again, user_id, query)
    return Response(body, media_type="application/json", headers={"Cache-Control": "private, no-cache"})


@router.post("/recommendations/feedback", status_code=202, responses=problem_responses(404))
def give_feedback(feedback: Feedback) -> Taken:
    """Tell what a shopper did with a product of an answer; the same again changes nothing."""
    found = attribution.keep(str(feedback.recommendation_id), feedback.product_id, feedback.action, feedback.position)
    if not found.known:
        raise NotFound(f"There is no answer {feedback.recommendation_id}, or it is too old.")
    if not found.shown:
        raise NotFound(f"The answer {feedback.recommendation_id} did not show product {feedback.product_id}.")
    return Taken(status="accepted")
