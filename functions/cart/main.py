"""HTTP: a shopper's cart, checkout, orders and wishlist."""

from functions.cart import cart as cart_routes
from functions.cart import checkout, orders, wishlist
from functions.cart.schemas import CART_PROBLEM_SCHEMAS
from shared.http import api, serve

app = api(
    "cart",
    "A shopper's cart, checkout, orders and wishlist.",
    needs=("postgres", "redis", "pubsub"),
    tags={
        "cart": "The products that a shopper is about to buy.",
        "checkout": "Buying what is in the cart.",
        "orders": "A shopper's orders, and their states, which staff change.",
        "wishlist": "The products that a shopper wants to remember.",
    },
    schemas=CART_PROBLEM_SCHEMAS,
)
app.include_router(cart_routes.router)
app.include_router(checkout.router)
app.include_router(orders.router)
app.include_router(wishlist.router)

cart = serve(app)
