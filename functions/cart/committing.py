"""After a commit: what was done becomes visible, and subscribers hear of it."""

from collections.abc import Sequence
from typing import Final

from shared.storage.answers import invalidation, protocol
from shared.storage.events import outbox

# a shopper does not wait longer than this for Pub/Sub: what is unsent is the job publish_outbox's
PUBLISH_WAIT_S: Final = 2.0


def committed(outbox_ids: Sequence[int], products: Sequence[int] = (), *, stock_crossed: bool = False) -> None:
    """Publish what the transaction wrote; drop stored answers of products whose stock changed.

    ``stock_crossed``: some were sold out, or are in stock again, so that other answers than their own change too.
    """
    invalidation.forget_products(products)
    if stock_crossed:
        invalidation.flush(*protocol.PRODUCT_SCOPES)
    outbox.publish_now(outbox_ids, wait_s=PUBLISH_WAIT_S)
