"""Orders: a shopper's own, and the changes of their state by the shopper and by the shop."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.cart.committing import committed
from functions.cart.schemas import Order, OrderPage, OrderPath, PageOfShopper, StateChange
from shared.auth import Shopper, requires
from shared.clients.postgres import transaction
from shared.domain.orders import OrderState
from shared.http import Query, UserQuery, private
from shared.http.api import OWNED, problem_responses
from shared.payments.releasing import release
from shared.storage.shopping import orders

router = APIRouter(tags=["orders"])
OrdersReader = Annotated[str, requires("orders:read")]
OrdersAdmin = Annotated[str, requires("orders:write")]


class NoQuery(Query):
    """No parameters: whatever is given is refused."""


@router.get("/orders", response_model=OrderPage, responses=OWNED)
def list_orders(shopper: Shopper, query: Annotated[PageOfShopper, InQuery()]) -> Response:
    """List the shopper's orders, newest first. A page beyond the end is empty."""
    return private(orders.page(shopper, query.page, query.page_size))


@router.get("/orders/{order_id}", response_model=Order, responses=OWNED | problem_responses(404))
def get_order(shopper: Shopper, order_id: OrderPath, _query: Annotated[UserQuery, InQuery()]) -> Response:
    """Show one of the shopper's orders. A stranger's is not found."""
    return private(orders.get_own(shopper, order_id))


@router.post("/orders/{order_id}/cancel", response_model=Order, responses=OWNED | problem_responses(404, 409))
def cancel_order(shopper: Shopper, order_id: OrderPath, _query: Annotated[UserQuery, InQuery()]) -> Response:
    """Cancel one of the shopper's orders before it is shipped: stock and money go back. Again: the same answer."""
    return _change(order_id, OrderState.CANCELLED, "cancelled by the shopper", shopper=shopper)


@router.get(
    "/orders/{order_id}/state", response_model=Order, responses=problem_responses(401, 403, 404), tags=["admin"]
)
def get_state(_actor: OrdersReader, order_id: OrderPath, _query: Annotated[NoQuery, InQuery()]) -> Response:
    """Show anybody's order, for support and admins."""
    return private(orders.get(order_id))


@router.post(
    "/orders/{order_id}/state", response_model=Order, responses=problem_responses(401, 403, 404, 409), tags=["admin"]
)
def change_state(
    actor: OrdersAdmin, order_id: OrderPath, change: StateChange, _query: Annotated[NoQuery, InQuery()]
) -> Response:
    """Ship, cancel or refund an order, for support and admins. Written to the audit log. Again: the same answer."""
    return _change(order_id, change.state, change.reason, staff=actor)


def _change(
    order_id: UUID, state: OrderState, reason: str | None, *, shopper: str | None = None, staff: str | None = None
) -> Response:
    with transaction() as connection:
        moved = orders.change_state(connection, order_id, state, reason, shopper=shopper, staff=staff)
        body = orders.get_in(connection, order_id)
    committed(moved.outbox, moved.products, stock_crossed=moved.in_stock_again)
    if moved.releases:
        release(order_id)
    return private(body)
