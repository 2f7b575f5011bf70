"""What the routes of products share: stored answers, and what follows a committed change."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Path, Request
from fastapi import Query as InQuery
from starlette.responses import Response

from shared.http import cached, fresh
from shared.http.parameters import NoQuery
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import CATALOG_TTL_S, PRODUCTS
from shared.storage.catalog.product_writes import Author
from shared.storage.events import outbox

# Seconds after which clients ask again, with the entity tag.
MAX_AGE_S: Final = 5
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "The client's copy (If-None-Match) is current."}
}
ProductId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the product.")]
WithoutQuery = Annotated[NoQuery, InQuery()]


async def stored_answer(request: Request, key: str, compute: Callable[[], bytes]) -> Response:
    """Return the stored answer of ``key``; computes and stores it if there is none."""
    answer = await cached(PRODUCTS, key, ttl_s=CATALOG_TTL_S, compute=compute)
    return fresh(request, answer.body, max_age_s=MAX_AGE_S, is_hit=answer.is_hit)


def after_commit(outbox_ids: list[int]) -> None:
    """Drop the stored answers of before the change, and publish what the transaction put in the outbox."""
    if not outbox_ids:
        return
    invalidation.flush(PRODUCTS)
    outbox.publish_now(outbox_ids, wait_s=outbox.REQUEST_WAIT_S)


def author(actor: str, request: Request) -> Author:
    """Return the actor and the request, for the audit log."""
    return Author(actor, request.scope.get("request_id", ""))
