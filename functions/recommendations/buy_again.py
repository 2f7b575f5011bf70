"""GET /buy-again."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.responses import Response

from functions.recommendations.schemas.buy_again import BuyAgain, BuyAgainQuery
from shared.domain import replenishment
from shared.domain.events import uuid7
from shared.http import computed, private
from shared.http.answers import dump
from shared.http.api import OWNED
from shared.http.credentials import NamedShopper
from shared.ranked_products import ranked_products
from shared.reasons import purchase_reason
from shared.storage.recommending import buy_again
from shared.storage.recommending.attribution import LoggedAnswer
from shared.storage.recommending.buy_again import Repurchase

router = APIRouter()


@router.get("/buy-again", response_model=BuyAgain, response_model_exclude_unset=True, responses=OWNED)
async def list_buy_again(user_id: NamedShopper, query: Annotated[BuyAgainQuery, QueryParameters()]) -> Response:
    """List the products that a user may need again.

    Each is ranked by how often and how recently the user bought it, by what other shoppers buy now, and by the time
    since the last purchase compared with the usual interval. Products bought within the last twelve hours come last.
    """
    body = await computed(find_due, user_id, query.k, query.in_stock, query.explain)
    return private(body)


def find_due(user_id: str, k: int, in_stock: bool, explain: bool) -> bytes:
    """Compute the answer in one statement."""
    log = LoggedAnswer(str(uuid7()), user_id, "buy_again", "replenishment", None)
    repurchases = buy_again.read(user_id, k, in_stock=in_stock, log=log)
    now = datetime.now(UTC)
    return dump(
        {
            "user_id": user_id,
            "products": ranked_products(
                (repurchase.product, repurchase.score, purchase_fields(repurchase, now, explain))
                for repurchase in repurchases
            ),
            "recommendation_id": log.id,
            "generated_at": now,
        }
    )


def purchase_fields(repurchase: Repurchase, now: datetime, explain: bool) -> dict[str, Any]:
    """Return the fields that BuyAgainProduct adds to a ranked product, with the reason if it is to be explained."""
    due_at = replenishment.due_at(repurchase.last_purchased_at, repurchase.usual_days)
    fields = {
        "last_purchased_at": repurchase.last_purchased_at,
        "purchase_count": repurchase.purchase_count,
        "due": replenishment.is_due(due_at, now, repurchase.repeat_share, repurchase.own_quartiles),
        "due_at": due_at,
    }
    return fields | {"reason": purchase_reason(repurchase, now)} if explain else fields
