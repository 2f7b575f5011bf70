"""What follows a committed change: stored answers are dropped and subscribers are notified."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from shared.storage.answers import invalidation, protocol
from shared.storage.events import outbox

# Seconds that a shopper waits for Pub/Sub; the job publish_outbox sends what is still unsent.
PUBLISH_WAIT_S: Final = 2.0


def after_commit(outbox_ids: Sequence[int], products: Sequence[int] = (), *, stock_crossed: bool = False) -> None:
    """Drop the stored answers of ``products``, whose stock changed, and publish what the transaction put in the outbox.

    ``stock_crossed``: some of them sold out or came back into stock, so that lists of other products change too.
    """
    invalidation.forget_products(products)
    if stock_crossed:
        invalidation.flush(*protocol.PRODUCT_SCOPES)
    outbox.publish_now(outbox_ids, wait_s=PUBLISH_WAIT_S)


def private(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response that no cache may store."""
    return Response(body, status, {"Cache-Control": "private, no-store", **(headers or {})}, "application/json")
