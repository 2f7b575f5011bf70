"""Routes of orders: a shopper's own, and any order for staff."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.cart.committing import after_commit
from functions.cart.schemas import OnlyUserQuery, Order, OrderPage, OrderPath, OrderStateChange, ShopperPageQuery
from shared.clients.postgres import transaction
from shared.domain.orders import OrderState
from shared.http.answers import private
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import Shopper, requires
from shared.http.parameters import NoQuery
from shared.payments.releasing import release
from shared.storage.answers import invalidation
from shared.storage.shopping import orders
from shared.storage.shopping.shoppers import ListPage

router = APIRouter(prefix="/orders", tags=["orders"])
OrdersReader = Annotated[str, requires("orders:read")]
OrdersAdmin = Annotated[str, requires("orders:write")]


@router.get("", response_model=OrderPage, responses=OWNED)
def list_orders(shopper: Shopper, query: Annotated[ShopperPageQuery, InQuery()]) -> Response:
    """List the shopper's orders, newest first."""
    return private(orders.page(shopper, ListPage(query.page, query.page_size, query.after)))


@router.get("/{order_id}", response_model=Order, responses=OWNED | problem_responses(404))
def get_order(shopper: Shopper, order_id: OrderPath, _query: OnlyUserQuery) -> Response:
    """Get one of the shopper's orders. 404 for an order of another shopper."""
    return private(orders.get_own(shopper, order_id))


@router.post("/{order_id}/cancel", response_model=Order, responses=OWNED | problem_responses(404, 409))
def cancel_order(shopper: Shopper, order_id: OrderPath, _query: OnlyUserQuery) -> Response:
    """Cancel one of the shopper's orders before it is shipped. Stock and money are returned. Idempotent."""
    return _change_state(order_id, OrderState.CANCELLED, "cancelled by the shopper", shopper=shopper)


@router.get("/{order_id}/state", response_model=Order, responses=problem_responses(401, 403, 404))
def get_any_order(_actor: OrdersReader, order_id: OrderPath, _query: Annotated[NoQuery, InQuery()]) -> Response:
    """Get the order of any shopper. For support and admins."""
    return private(orders.get(order_id))


@router.post("/{order_id}/state", response_model=Order, responses=problem_responses(401, 403, 404, 409))
def change_order_state(
    actor: OrdersAdmin, order_id: OrderPath, change: OrderStateChange, _query: Annotated[NoQuery, InQuery()]
) -> Response:
    """Ship, cancel or refund the order of any shopper. For support and admins; audited. Idempotent."""
    return _change_state(order_id, change.state, change.reason, staff=actor)


def _change_state(
    order_id: UUID, state: OrderState, reason: str | None, *, shopper: str | None = None, staff: str | None = None
) -> Response:
    with transaction() as connection:
        moved = orders.change_state(connection, order_id, state, reason, shopper=shopper, staff=staff)
        body = orders.get_in(connection, order_id)
    after_commit(moved.outbox, moved.products, stock_crossed=moved.in_stock_again)
    if moved.shopper is not None:
        # what was given back may be recommended again
        invalidation.forget_users([moved.shopper])
    if moved.releases:
        release(order_id)
    return private(body)
