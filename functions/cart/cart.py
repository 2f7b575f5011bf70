"""Routes of the cart."""

from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.cart.committing import after_commit
from functions.cart.schemas import (
    STOCK_CONFLICT,
    Cart,
    CartItemPatch,
    ExternalIdQuery,
    NewCartItem,
    OnlyUserQuery,
    ProductPath,
)
from shared.clients.postgres import transaction
from shared.domain.product_references import ProductReference
from shared.http import IdempotencyKey
from shared.http.answers import private
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import Shopper
from shared.http.idempotency import Finish, fingerprint, key_user, once
from shared.storage.catalog import product_ids
from shared.storage.shopping import carts

router = APIRouter(prefix="/cart", tags=["cart"])
ADD_ROUTE: Final = "POST /cart/items"
ADDED: Final[dict[int | str, dict[str, Any]]] = {201: {"model": Cart, "description": "The product is new in the cart."}}


@router.get("", response_model=Cart, responses=OWNED)
def get_cart(shopper: Shopper, _query: OnlyUserQuery) -> Response:
    """Get the cart. `changes` of an item says how its price or stock changed since it was added."""
    return private(carts.show(shopper))


@router.post("/items", response_model=Cart, responses=OWNED | problem_responses(404) | STOCK_CONFLICT | ADDED)
def add_cart_item(shopper: Shopper, item: NewCartItem, _query: OnlyUserQuery, key: IdempotencyKey = None) -> Response:
    """Add a product to the cart; the quantities add up. 201 if it is new in the cart, otherwise 200."""
    unsent: list[int] = []

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            product_id = product_ids.id_of(ProductReference(item.product_id, item.external_id), connection)
            user_id, new, outbox_ids = carts.add(connection, shopper, product_id, item.quantity)
            answer = private(carts.show_locked(connection, user_id), 201 if new else 200)
            finish(connection, answer)
        unsent.extend(outbox_ids)
        return answer

    user = key_user(key, ADD_ROUTE, shopper)
    answer = once(
        key,
        f"{ADD_ROUTE} {user}",
        fingerprint(item),
        work,
        owner=shopper,
        compute_again=lambda _headers: carts.show(shopper),
    )
    after_commit(unsent)
    return answer


@router.patch("/items/{product_id}", response_model=Cart, responses=OWNED | problem_responses(404) | STOCK_CONFLICT)
def update_cart_item(
    shopper: Shopper, product_id: ProductPath, patch: CartItemPatch, _query: OnlyUserQuery
) -> Response:
    """Set the quantity of a product in the cart."""
    with transaction() as connection:
        user_id, unsent = carts.change(connection, shopper, product_id, patch.quantity)
        body = carts.show_locked(connection, user_id)
    after_commit(unsent)
    return private(body)


@router.patch("/items", response_model=Cart, responses=OWNED | problem_responses(404) | STOCK_CONFLICT)
def update_cart_item_by_external_id(
    shopper: Shopper, patch: CartItemPatch, query: Annotated[ExternalIdQuery, InQuery()]
) -> Response:
    """Set the quantity of a product in the cart, by the shop's own id."""
    with transaction() as connection:
        product_id = product_ids.id_of(ProductReference(None, query.external_id), connection)
        user_id, unsent = carts.change(connection, shopper, product_id, patch.quantity)
        body = carts.show_locked(connection, user_id)
    after_commit(unsent)
    return private(body)


@router.delete("/items", response_model=Cart, responses=OWNED)
def remove_cart_item_by_external_id(shopper: Shopper, query: Annotated[ExternalIdQuery, InQuery()]) -> Response:
    """Remove a product from the cart, by the shop's own id. Idempotent: it need not be in the cart."""
    product = product_ids.find(ProductReference(None, query.external_id))
    return _remove(shopper, [] if product is None else [product.product_id])


@router.delete("/items/{product_id}", response_model=Cart, responses=OWNED)
def remove_cart_item(shopper: Shopper, product_id: ProductPath, _query: OnlyUserQuery) -> Response:
    """Remove a product from the cart. Idempotent: it need not be in the cart."""
    return _remove(shopper, [product_id])


@router.delete("", response_model=Cart, responses=OWNED)
def empty_cart(shopper: Shopper, _query: OnlyUserQuery) -> Response:
    """Remove every product from the cart. Idempotent."""
    return _remove(shopper, None)


def _remove(shopper: str, ids: list[int] | None) -> Response:
    with transaction() as connection:
        user_id, unsent = carts.remove(connection, shopper, ids)
        body = carts.show_locked(connection, user_id)
    after_commit(unsent)
    return private(body)
