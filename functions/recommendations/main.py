"""HTTP: what to show a shopper next."""

import re
from typing import Annotated, Any, Literal

import orjson
from fastapi import Query as QueryParameters
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations import answers, kinds, stored
from shared.auth import MaybeShopper, NamedShopper
from shared.clients.redis_async import RedisUnavailable
from shared.domain.events import ProductId
from shared.errors import DatabaseUnavailable
from shared.http import K, Query, UserQuery, api, cached, fresh, serve
from shared.http.answers import redis
from shared.http.api import OWNED, problem_responses
from shared.storage.answers.cache import POPULAR, POPULAR_PRODUCTS
from shared.storage.recommending import listings as storage

MAX_RECENT = 50

app = api("recommendations", "What to show a shopper next.", needs=("postgres", "redis", "model"))


def listed_ids(value: str) -> str:
    """Check a comma-separated list of product ids."""
    if value and not re.fullmatch(r"\d{1,15}(,\d{1,15}){0,199}", value):
        raise ValueError("must be up to 200 product ids separated by commas")
    return value


def few_listed_ids(value: str) -> str:
    """Check a shorter comma-separated list of product ids."""
    if listed_ids(value).count(",") >= MAX_RECENT:
        raise ValueError(f"must be up to {MAX_RECENT} product ids separated by commas")
    return value


def ids_of(value: str) -> list[int]:
    """Return the ids of a checked list, each once."""
    return list(dict.fromkeys(int(one) for one in value.split(",") if one))


class RecommendationsQuery(UserQuery):
    """What /recommendations takes."""

    k: K = 10
    category_id: ProductId | None = Field(None, description="only this category and those below it")
    exclude: Annotated[str, AfterValidator(listed_ids)] = Field(
        "", description="product ids not to show, separated by commas"
    )
    in_stock: bool | None = Field(
        None, description="true: only what is in stock; not given: that first; false: no matter"
    )
    explain: bool = Field(False, description="add a reason to each product")
    product_id: ProductId | None = Field(None, description="the product being looked at: what goes with it comes first")
    recent: Annotated[str, AfterValidator(few_listed_ids)] = Field(
        "", description="products looked at in this session, newest first, separated by commas"
    )
    diversity: float = Field(
        0, ge=0, le=1, allow_inf_nan=False, description="0: the most relevant; 1: as many categories as there are"
    )
    latitude: float | None = Field(None, ge=-90, le=90, allow_inf_nan=False)
    longitude: float | None = Field(None, ge=-180, le=180, allow_inf_nan=False)

    @model_validator(mode="after")
    def whole_place(self) -> "RecommendationsQuery":
        """Require both coordinates or none."""
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together")
        return self


class SimilarQuery(UserQuery):
    """What /similar-products takes. With a user the answer has a recommendation_id."""

    product_id: ProductId
    k: K = 10


class TrendingQuery(Query):
    """What /trending takes."""

    window: Literal["7d", "30d"] = "7d"
    category_id: ProductId | None = None
    k: K = 10


class PopularQuery(Query):
    """What /popular takes."""

    k: K = 10


class RecentlyViewedQuery(UserQuery):
    """What /recently-viewed takes."""

    k: K = 10


def private(body: bytes) -> Response:
    """Return an answer that is one user's: kept by no shared cache."""
    return Response(body, media_type="application/json", headers={"Cache-Control": "private, no-cache"})


@app.get(
    "/recommendations",
    response_model=answers.Recommendations,
    response_model_exclude_unset=True,
    responses=OWNED | problem_responses(404),
)
async def recommend(
    request: Request, user_id: NamedShopper, query: Annotated[RecommendationsQuery, QueryParameters()]
) -> Response:
    """Recommend products to a user, from what they did until a second ago.

    Who has no history may bring the products of this session (``product_id``, ``recent``): they count as views made
    just now. Otherwise unknown users get what is trending, in the category where one is given; while Postgres is away
    everybody gets what is popular.
    """
    raw: bytes = request.scope["query_string"]

    def compute() -> bytes:
        exclude = ids_of(query.exclude)
        context = ids_of(query.recent)
        if query.product_id is not None:
            context = [query.product_id, *(one for one in context if one != query.product_id)]
            exclude = [*exclude, query.product_id]
        place = None if query.latitude is None or query.longitude is None else (query.latitude, query.longitude)
        return answers.personal(
            answers.Asked(
                user_id,
                query.k,
                query.category_id,
                exclude,
                query.in_stock,
                query.explain,
                place,
                context,
                query.diversity,
            )
        )

    async def work() -> bytes:
        state = await stored.before(user_id, raw)
        if state is not None and state[0] is not None:
            return state[0]
        body = await run_in_threadpool(compute)
        if state is not None:
            await stored.store(user_id, raw, body, *state[1:])
        return body

    try:
        return private(await work())
    except DatabaseUnavailable:
        return private(answers.without_database(user_id, await live_popular(query.k)))


@app.get(
    "/similar-products",
    response_model=answers.SimilarProducts,
    response_model_exclude_unset=True,
    responses=OWNED | problem_responses(404),
)
async def similar_products(
    request: Request, user_id: MaybeShopper, query: Annotated[SimilarQuery, QueryParameters()]
) -> Response:
    """Find the products most like one: wanted by the same people or, the newer it is the more, described alike."""
    if user_id is not None:
        # an answer of its own: what becomes of it is counted
        body = await run_in_threadpool(answers.similar, query.product_id, query.k, user_id)
        return fresh(request, body, max_age_s=0, public=False)
    body = await cached(
        "similar",
        f"sim:{query.product_id}:{query.k}",
        ttl_s=3600,
        compute=lambda: answers.similar(query.product_id, query.k),
    )
    return fresh(request, body, max_age_s=60)


@app.get(
    "/trending", response_model=answers.Trending, response_model_exclude_unset=True, responses=problem_responses(404)
)
async def trending(request: Request, query: Annotated[TrendingQuery, QueryParameters()]) -> Response:
    """List what rises: events of the window, newer ones weighing more."""
    body = await cached(
        "trending",
        f"trending:{query.window}:{query.category_id or ''}:{query.k}",
        ttl_s=900,
        compute=lambda: answers.trending(query.window, query.category_id, query.k),
    )
    return fresh(request, body, max_age_s=60)


@app.get("/popular", response_model=answers.Popular, response_model_exclude_unset=True)
async def popular(request: Request, query: Annotated[PopularQuery, QueryParameters()]) -> Response:
    """List what was bought most, counted live."""
    found = await live_popular(query.k)
    if len(found) < query.k:
        # Redis is away or was just emptied, or the shop is smaller than that
        try:
            rows = await run_in_threadpool(storage.popular, query.k)
            found = [(product, float(count)) for product, count in rows]
        except DatabaseUnavailable:
            if not found:
                raise
    return fresh(request, answers.popular(found), max_age_s=10)


@app.get("/recently-viewed", response_model=answers.RecentlyViewed, response_model_exclude_unset=True, responses=OWNED)
async def recently_viewed(user_id: NamedShopper, query: Annotated[RecentlyViewedQuery, QueryParameters()]) -> Response:
    """List what a user viewed last, newest first."""
    return private(await run_in_threadpool(answers.recently_viewed, user_id, query.k))


async def live_popular(k: int) -> list[tuple[dict[str, Any], float]]:
    """Return ``(product, purchases)`` of the live ranking; empty when Redis is away."""
    try:
        (ranking,) = await redis().run(("ZREVRANGE", POPULAR, 0, k - 1, "WITHSCORES"))
        if not ranking:
            return []
        (bodies,) = await redis().run(("HMGET", POPULAR_PRODUCTS, *ranking[::2]))
    except RedisUnavailable:
        return []
    return [
        (orjson.loads(body), float(score))
        for body, score in zip(bodies, ranking[1::2], strict=True)
        if body is not None
    ]


app.include_router(kinds.router)

recommendations = serve(app, stored.hot)
