"""HTTP: what to show a shopper next."""

from functions.recommendations import (
    batch,
    buy_again,
    feedback,
    frequently_bought_together,
    popular,
    recently_viewed,
    similar_products,
    trending,
)
from functions.recommendations import recommendations as personal
from shared.http import api, serve

app = api(
    "recommendations",
    "Recommends products to shoppers.",
    needs=("postgres", "redis", "model"),
    located={"/recommendations": ()},
)
for resource in (
    personal,
    similar_products,
    trending,
    popular,
    recently_viewed,
    frequently_bought_together,
    buy_again,
    feedback,
    batch,
):
    app.include_router(resource.router)

recommendations = serve(app, personal.find_stored)
