"""HTTP: cart, checkout, orders and wishlist of a shopper."""

from typing import Annotated

from fastapi import Query as InQuery
from starlette.responses import Response

from functions.cart import orders, wishlist
from functions.cart.checkout import check_out
from functions.cart.committing import committed
from functions.cart.schemas import SHORT, Cart, CheckoutRequest, ItemPatch, NewItem, Order, ProductPath
from shared.auth import Shopper
from shared.clients.postgres import transaction
from shared.http import UserQuery, api, private, serve
from shared.http.api import OWNED, problem_responses
from shared.http.idempotency import Finish, IdempotencyKey, RequiredIdempotencyKey, fingerprint, once
from shared.storage.shopping import carts

Nothing = Annotated[UserQuery, InQuery()]

app = api("cart", "A shopper's cart, checkout, orders and wishlist.", needs=("postgres", "redis", "pubsub"))


@app.get("/cart", response_model=Cart, responses=OWNED)
def show_cart(shopper: Shopper, _query: Nothing) -> Response:
    """Show the cart; lines whose price or stock changed since they were added say so in ``changes``."""
    return private(carts.show(shopper))


@app.post(
    "/cart/items",
    response_model=Cart,
    responses=OWNED | problem_responses(404) | SHORT | {201: {"model": Cart, "description": "The line is new."}},
)
def add_item(shopper: Shopper, item: NewItem, _query: Nothing, key: IdempotencyKey = None) -> Response:
    """Put a product into the cart; quantities add up. 201 when the line is new, 200 when it was there."""
    unsent: list[int] = []

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            user_id, new, outbox_ids = carts.add(connection, shopper, item.product_id, item.quantity)
            answer = private(carts.show_locked(connection, user_id), 201 if new else 200)
            finish(connection, answer)
        unsent.extend(outbox_ids)
        return answer

    answer = once(key, f"POST /cart/items {shopper}", fingerprint(item), work)
    committed(unsent)
    return answer


@app.patch("/cart/items/{product_id}", response_model=Cart, responses=OWNED | problem_responses(404) | SHORT)
def change_item(shopper: Shopper, product_id: ProductPath, patch: ItemPatch, _query: Nothing) -> Response:
    """Change how many of a product are in the cart."""
    with transaction() as connection:
        user_id, unsent = carts.change(connection, shopper, product_id, patch.quantity)
        body = carts.show_locked(connection, user_id)
    committed(unsent)
    return private(body)


@app.delete("/cart/items/{product_id}", response_model=Cart, responses=OWNED)
def remove_item(shopper: Shopper, product_id: ProductPath, _query: Nothing) -> Response:
    """Take a product out of the cart. Again: the same answer."""
    return _remove(shopper, [product_id])


@app.delete("/cart", response_model=Cart, responses=OWNED)
def empty_cart(shopper: Shopper, _query: Nothing) -> Response:
    """Take everything out of the cart. Again: the same answer."""
    return _remove(shopper, None)


def _remove(shopper: str, product_ids: list[int] | None) -> Response:
    with transaction() as connection:
        user_id, unsent = carts.remove(connection, shopper, product_ids)
        body = carts.show_locked(connection, user_id)
    committed(unsent)
    return private(body)


@app.post("/cart/checkout", status_code=201, response_model=Order, responses=OWNED | problem_responses(402) | SHORT)
def check_out_cart(
    shopper: Shopper, _query: Nothing, key: RequiredIdempotencyKey, request: CheckoutRequest | None = None
) -> Response:
    """Buy what is in the cart at the prices of now. All of it is done, or nothing: 409 names every line that is short.

    402 when the payment was declined, 503 when its provider did not answer: the cart is as it was, and the same
    Idempotency-Key may be sent again.
    """
    return check_out(shopper, request or CheckoutRequest(), key)


app.include_router(orders.router)
app.include_router(wishlist.router)
cart = serve(app)
