"""The wishlist: what a shopper keeps for later."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.cart.committing import committed
from functions.cart.schemas import PageOfShopper, ProductPath, WishlistItem, WishlistPage
from shared.auth import Shopper
from shared.clients.postgres import transaction
from shared.http import UserQuery, private
from shared.http.api import OWNED, problem_responses
from shared.storage.shopping import wishlist

router = APIRouter(prefix="/wishlist", tags=["wishlist"])
Nothing = Annotated[UserQuery, InQuery()]


@router.get("", response_model=WishlistPage, responses=OWNED)
def show_wishlist(shopper: Shopper, query: Annotated[PageOfShopper, InQuery()]) -> Response:
    """Show the wishlist, newest first. A page beyond the end is empty."""
    return private(wishlist.page(shopper, query.page, query.page_size))


@router.get("/{product_id}", response_model=WishlistItem, responses=OWNED | problem_responses(404))
def show_wish(shopper: Shopper, product_id: ProductPath, _query: Nothing) -> Response:
    """Show whether a product is on the wishlist: 404 when it is not."""
    return private(wishlist.get_item(shopper, product_id))


@router.put(
    "/{product_id}",
    response_model=WishlistItem,
    responses=OWNED | problem_responses(404, 409) | {201: {"model": WishlistItem, "description": "It is new on it."}},
)
def add_wish(shopper: Shopper, product_id: ProductPath, _query: Nothing) -> Response:
    """Put a product on the wishlist: 201 when it is new on it, 200 when it was there."""
    with transaction() as connection:
        unsent = wishlist.add(connection, shopper, product_id)
    committed(unsent or [])
    return private(wishlist.get_item(shopper, product_id), 200 if unsent is None else 201)


@router.delete("/{product_id}", status_code=204, responses=OWNED)
def remove_wish(shopper: Shopper, product_id: ProductPath, _query: Nothing) -> Response:
    """Take a product off the wishlist. Again: the same answer."""
    wishlist.remove(shopper, product_id)
    return Response(status_code=204)
