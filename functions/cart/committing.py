"""What follows a committed change: stored answers are dropped and subscribers are notified."""

from collections.abc import Sequence

from shared.storage.answers import invalidation, protocol
from shared.storage.events import outbox


def after_commit(outbox_ids: Sequence[int], products: Sequence[int] = (), *, stock_crossed: bool = False) -> None:
    """Drop the stored answers of ``products``, whose stock changed, and publish what the transaction put in the outbox.

    ``stock_crossed``: some of them sold out or came back into stock, so that lists of other products change too.
    """
    invalidation.forget_products(products)
    if stock_crossed:
        invalidation.flush(*protocol.PRODUCT_SCOPES)
    outbox.publish_now(outbox_ids, wait_s=outbox.REQUEST_WAIT_S)
