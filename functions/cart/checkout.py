"""From a cart to a paid order. docs/decisions/0009-checkout.md says what happens when any step fails.

1. One transaction: products locked, stock checked and taken, order and lines written, cart emptied. State `placed`.
2. The payment provider is asked, with no lock and no transaction held.
3. One transaction: state `paid`, purchase events, and the answer of the Idempotency-Key. Or, not paid: state
   `cancelled`, stock and cart as before.
"""

import logging
from uuid import UUID

from starlette.responses import Response

from functions.cart.committing import committed
from functions.cart.schemas import CheckoutRequest
from shared.clients.postgres import transaction
from shared.domain.orders import OrderState, checkout_id
from shared.errors import OrderStateConflict, PaymentDeclined
from shared.http import private
from shared.http.idempotency import Finish, fingerprint, once
from shared.payments import provider
from shared.payments.releasing import release
from shared.settings import settings
from shared.storage.shopping import checkout as storage
from shared.storage.shopping import orders, payments
from shared.storage.shopping.checkout import Placed

log = logging.getLogger(__name__)


def check_out(shopper: str, request: CheckoutRequest, key: str) -> Response:
    """Return the answer of a checkout, done once per shopper and key, whatever was cut short in between."""
    request_hash = fingerprint(request)

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            placed = storage.place(
                connection,
                shopper,
                checkout_id(shopper, key),
                request_hash,
                expected_total=request.expected_total,
                provider=settings().payment_provider,
            )
        committed(placed.outbox, placed.products, stock_crossed=placed.sold_out)
        if placed.state is OrderState.PLACED:
            _charge(placed, request.payment_token)
        return _paid(placed, finish)

    return once(key, f"POST /cart/checkout {shopper}", request_hash, work)


def _charge(placed: Placed, token: str | None) -> None:
    """Ask for the money; without it the order is given up before the error goes on."""
    if placed.total == 0:
        return
    try:
        provider().charge(str(placed.order_id), placed.total, token, settings().payment_timeout_s)
    except PaymentDeclined:
        _give_up(placed.order_id, "payment declined", charged=False)
        raise
    except Exception:
        # no answer, or one that nobody understood: it may have been taken
        _give_up(placed.order_id, "payment not confirmed", charged=True)
        raise


def _give_up(order_id: UUID, reason: str, *, charged: bool) -> None:
    with transaction() as connection:
        moved = orders.give_up(connection, order_id, reason, charged=charged)
    if moved is not None:
        committed(moved.outbox, moved.products, stock_crossed=moved.in_stock_again)
    if charged:
        release(order_id)


def _paid(placed: Placed, finish: Finish) -> Response:
    try:
        with transaction() as connection:
            moved = orders.pay(connection, placed.order_id) if placed.state is OrderState.PLACED else None
            body = orders.get_in(connection, placed.order_id)
            answer = private(body, 201, {"Location": f"/orders/{placed.order_id}"})
            finish(connection, answer)
    except OrderStateConflict:
        # cancelled while it was being paid
        payments.reopen(placed.order_id)
        release(placed.order_id)
        raise
    if moved is not None:
        committed(moved.outbox)
    return answer
