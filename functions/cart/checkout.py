"""The checkout, from a cart to a paid order, in three steps.

1. One transaction locks the products, checks and takes the stock, writes the order and its lines and empties the
   cart. The order's state is `placed`.
2. The payment provider charges the total, while no lock and no transaction is held.
3. One transaction writes the state `paid`, the purchase events and the answer of the Idempotency-Key. Without the
   money it writes the state `cancelled` instead and restores stock and cart.

docs/decisions/0009-checkout.md says what happens when any step fails.
"""

import logging
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from functions.cart.committing import after_commit
from functions.cart.schemas import STOCK_CONFLICT, CheckoutRequest, OnlyUserQuery, Order
from shared.clients.postgres import transaction
from shared.domain.orders import OrderState, checkout_id
from shared.errors import OrderStateConflict, PaymentDeclined
from shared.http import RequiredIdempotencyKey
from shared.http.answers import private
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import Shopper
from shared.http.idempotency import Finish, fingerprint, key_user, once
from shared.payments import provider
from shared.payments.releasing import release
from shared.settings import settings
from shared.storage.shopping import checkout as storage
from shared.storage.shopping import orders, payments
from shared.storage.shopping.checkout import Placed

log = logging.getLogger(__name__)
router = APIRouter(prefix="/cart", tags=["checkout"])
ROUTE: Final = "POST /cart/checkout"


@router.post(
    "/checkout", status_code=201, response_model=Order, responses=OWNED | problem_responses(402) | STOCK_CONFLICT
)
def check_out(
    shopper: Shopper, _query: OnlyUserQuery, key: RequiredIdempotencyKey, request: CheckoutRequest | None = None
) -> Response:
    """Buy everything in the cart at current prices, or nothing.

    409 names every item that is not sufficiently in stock. 402 if the payment was declined, 503 if the payment provider
    does not answer. In both cases the cart is unchanged, and the request can be repeated with the same Idempotency-Key.
    """
    return place_order(shopper, request or CheckoutRequest(), key)


def place_order(shopper: str, request: CheckoutRequest, key: str) -> Response:
    """Place and pay an order, once per person and key even after an interruption, and return the response.

    A key is valid for 24 hours; used later, it is another request.
    """
    request_hash = fingerprint(request)
    user = key_user(key, ROUTE, shopper)

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            placed = storage.place(
                connection,
                shopper,
                checkout_id(user, key),
                request_hash,
                expected_total=request.expected_total,
                provider=settings().payment_provider,
            )
        after_commit(placed.outbox, placed.products, stock_crossed=placed.sold_out)
        if placed.state is OrderState.PLACED:
            _charge(placed, request.payment_token)
        return _paid(placed, finish)

    return once(
        key,
        f"{ROUTE} {user}",
        request_hash,
        work,
        owner=shopper,
        # its statements take milliseconds, and two requests that pay one order charge it once
        work_s=settings().payment_timeout_s,
        compute_again=lambda headers: orders.get(UUID(headers["location"].rpartition("/")[2])),
    )


def _charge(placed: Placed, token: str | None) -> None:
    """Charge the order's total. Cancels the order before it lets an error of the payment pass."""
    if placed.total == 0:
        return
    try:
        provider().charge(str(placed.order_id), placed.total, token, settings().payment_timeout_s)
    except PaymentDeclined:
        _give_up(placed.order_id, "payment declined", charged=False)
        raise
    except Exception:
        # no answer, or not an intelligible one: the money may have been taken
        _give_up(placed.order_id, "payment not confirmed", charged=True)
        raise


def _give_up(order_id: UUID, reason: str, *, charged: bool) -> None:
    with transaction() as connection:
        moved = orders.give_up(connection, order_id, reason, charged=charged)
    if moved is not None:
        after_commit(moved.outbox, moved.products, stock_crossed=moved.in_stock_again)
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
        # the order was cancelled while the payment was under way
        payments.reopen(placed.order_id)
        release(placed.order_id)
        raise
    if moved is not None:
        after_commit(moved.outbox)
    return answer
