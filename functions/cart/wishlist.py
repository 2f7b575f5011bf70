"""Routes of the wishlist."""

from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.cart.committing import after_commit
from functions.cart.schemas import (
    ExternalIdQuery,
    OnlyUserQuery,
    ProductPath,
    WishlistItem,
    WishlistPage,
    WishlistQuery,
)
from shared.clients.postgres import transaction
from shared.domain.product_references import ProductReference
from shared.http.answers import private
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import Shopper
from shared.storage.catalog import product_ids
from shared.storage.shopping import wishlist
from shared.storage.shopping.shoppers import ListPage

router = APIRouter(prefix="/wishlist", tags=["wishlist"])
ADDED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": WishlistItem, "description": "The product is new on the wishlist."}
}


@router.get("", response_model=WishlistPage, responses=OWNED)
def get_wishlist(shopper: Shopper, query: Annotated[WishlistQuery, InQuery()]) -> Response:
    """Get the wishlist, newest first."""
    return private(wishlist.page(shopper, ListPage(query.page, query.page_size, query.after), query.external_id))


@router.get("/{product_id}", response_model=WishlistItem, responses=OWNED | problem_responses(404))
def get_wishlist_item(shopper: Shopper, product_id: ProductPath, _query: OnlyUserQuery) -> Response:
    """Get a product of the wishlist. 404 if it is not on it."""
    return private(wishlist.get_item(shopper, product_id))


@router.put("/{product_id}", response_model=WishlistItem, responses=OWNED | problem_responses(404, 409) | ADDED)
def add_wishlist_item(shopper: Shopper, product_id: ProductPath, _query: OnlyUserQuery) -> Response:
    """Add a product to the wishlist. 201 if it was not on it before, otherwise 200."""
    return _add(shopper, ProductReference(product_id))


@router.put("", response_model=WishlistItem, responses=OWNED | problem_responses(404, 409) | ADDED)
def add_wishlist_item_by_external_id(shopper: Shopper, query: Annotated[ExternalIdQuery, InQuery()]) -> Response:
    """Add a product to the wishlist, by the shop's own id. 201 if it was not on it before, otherwise 200."""
    return _add(shopper, ProductReference(None, query.external_id))


def _add(shopper: str, product: ProductReference) -> Response:
    with transaction() as connection:
        product_id = product_ids.id_of(product, connection)
        unsent = wishlist.add(connection, shopper, product_id)
    after_commit(unsent or [])
    return private(wishlist.get_item(shopper, product_id), 200 if unsent is None else 201)


@router.delete("/{product_id}", status_code=204, responses=OWNED)
def remove_wishlist_item(shopper: Shopper, product_id: ProductPath, _query: OnlyUserQuery) -> Response:
    """Remove a product from the wishlist. Idempotent: the product need not be on it."""
    wishlist.remove(shopper, product_id)
    return Response(status_code=204)


@router.delete("", status_code=204, responses=OWNED)
def remove_wishlist_item_by_external_id(shopper: Shopper, query: Annotated[ExternalIdQuery, InQuery()]) -> Response:
    """Remove a product from the wishlist, by the shop's own id. Idempotent: the product need not be on it."""
    product = product_ids.find(ProductReference(None, query.external_id))
    if product is not None:
        wishlist.remove(shopper, product.product_id)
    return Response(status_code=204)
