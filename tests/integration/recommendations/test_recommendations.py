"""The recommendations function: every tier, stored and computed, with all services and without Redis or Postgres."""

import gzip
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event as sqlalchemy_event

from shared.clients import postgres, postgres_engine, redis_sync
from shared.storage.answers import invalidation, popular_ranking
from shared.storage.answers.user_answers import MAX_FIELDS
from tests.integration.conftest import Serve, settings_of
from tests.integration.deliveries import deliver, event
from tests.integration.shop import PRODUCT_FIELDS, add_model, add_products, now


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products(20)
    add_model({1: {2: 0.9, 3: 0.5, 4: 0.1}, 5: {6: 0.8, 2: 0.3}})
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT w, id, 100 - id, id, category_id FROM products, unnest(ARRAY['7d', '30d']) AS w
           WHERE id BETWEEN 10 AND 19"""
    )
    return serve("recommendations")


def listed(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in answer.json()["recommendations"]]


def send_events(serve: Serve, user: str, *events: dict[str, Any]) -> None:
    assert deliver(serve("update_preferences"), user, *events).status_code == 200


def test_an_unknown_user_gets_trending_products(client: httpx.Client) -> None:
    answer = client.get("/recommendations", params={"user_id": "new", "k": 3})
    assert listed(answer) == [10, 11, 12]
    body = answer.json()
    assert body["strategy"] == "trending"
    assert set(body) == {
        "user_id",
        "recommendations",
        "strategy",
        "recommendation_id",
        "model_version",
        "algorithm",
        "generated_at",
    }
    assert body["algorithm"] == "test"
    first = body["recommendations"][0]
    assert set(first) == {*PRODUCT_FIELDS, "score", "rank"}
    assert first["rank"] == 1
    assert isinstance(first["price"], float | int)


def test_an_unknown_user_in_a_category_gets_that_category(client: httpx.Client) -> None:
    answer = client.get("/recommendations", params={"user_id": "new", "k": 4, "category_id": 1})
    assert answer.json()["strategy"] == "cold_start_category"
    assert {product["category"] for product in answer.json()["recommendations"]} == {"Candles"}
    missing = client.get("/recommendations", params={"user_id": "new", "category_id": 99})
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:aisle:problem:category-not-found")


def test_a_view_changes_the_next_answer(client: httpx.Client, serve: Serve) -> None:
    query = {"user_id": "u1", "k": 3}
    assert client.get("/recommendations", params=query).json()["strategy"] == "trending"
    send_events(serve, "u1", event(1))
    answer = client.get("/recommendations", params=query)
    assert answer.json()["strategy"] == "personalized"
    assert listed(answer)[0] == 2


def test_each_product_has_its_strongest_reason(client: httpx.Client, serve: Serve) -> None:
    send_events(serve, "u1", event(1, "purchase"), event(5))
    query = {"user_id": "u1", "k": 20, "explain": True, "repeats": "include"}
    answer = client.get("/recommendations", params=query)
    reasons = {product["id"]: product["reason"] for product in answer.json()["recommendations"]}
    assert reasons[2] == {
        "kind": "similar",
        "product_id": 1,
        "product_name": "Product 1",
        "text": "Because you bought Product 1",
    }
    assert reasons[6]["text"] == "Because you viewed Product 5"
    assert {reason["kind"] for reason in reasons.values()} >= {"similar", "taste"}
    # the product itself is a stronger reason than its neighbours
    assert (reasons[5]["kind"], reasons[5]["product_id"], reasons[5]["text"]) == ("again", 5, "You viewed this before")


def test_purchased_products_are_not_recommended(client: httpx.Client, serve: Serve) -> None:
    send_events(serve, "u1", event(1), event(2, "purchase", ago=timedelta(days=200)))
    assert 2 not in listed(client.get("/recommendations", params={"user_id": "u1", "k": 18}))


def test_filters_apply_to_every_product(client: httpx.Client, serve: Serve) -> None:
    send_events(serve, "u1", event(1))
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 2")
    postgres.write("UPDATE products SET is_active = false WHERE id = 3")
    query = {"user_id": "u1", "k": 20}
    assert 2 not in listed(client.get("/recommendations", params=query | {"in_stock": True}))
    by_default = listed(client.get("/recommendations", params=query))
    # the product viewed a moment ago fills up, and what is sold out follows it
    assert by_default[-2:] == [1, 2]
    assert 3 not in by_default
    assert listed(client.get("/recommendations", params=query | {"in_stock": False}))[0] == 2
    assert not {4, 10} & set(listed(client.get("/recommendations", params=query | {"exclude": "4,10"})))


def test_a_category_includes_those_below_it(client: httpx.Client) -> None:
    postgres.write("UPDATE categories SET parent_id = 1 WHERE id = 2")
    products = client.get("/recommendations", params={"user_id": "new", "k": 20, "category_id": 1}).json()[
        "recommendations"
    ]
    assert {product["category"] for product in products} == {"Candles", "Bags"}


def test_the_models_serving_parameters_are_used(client: httpx.Client, serve: Serve) -> None:
    send_events(serve, "u1", event(1, ago=timedelta(days=2)), event(5, ago=timedelta(days=1)))
    neighbours = {1: {2: 0.9}, 5: {6: 0.8}}
    add_model(neighbours, {"serving": {"blend": 1.0, "profile_events": 1}})
    invalidation.flush("recommendations")
    assert listed(client.get("/recommendations", params={"user_id": "u1", "k": 2}))[0] == 6
    add_model(neighbours, {"serving": {"blend": 1.0, "rank_decay": 1.0}})
    invalidation.flush("recommendations")
    assert listed(client.get("/recommendations", params={"user_id": "u1", "k": 2})) == [2, 6]
    add_model(neighbours, {"serving": {"blend": 1.0, "half_life_days": 0.1}})
    invalidation.flush("recommendations")
    assert listed(client.get("/recommendations", params={"user_id": "u1", "k": 2})) == [6, 2]


def test_a_repeated_request_is_answered_from_stored_bytes_compressed_and_not(client: httpx.Client) -> None:
    first = client.get("/recommendations?user_id=u1&k=3")
    identity = client.get("/recommendations?user_id=u1&k=3", headers={"Accept-Encoding": "identity"})
    assert identity.json() == first.json()
    assert "content-encoding" not in identity.headers
    zipped = client.get("/recommendations?user_id=u1&k=3", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.json() == first.json()
    assert (first.headers["cache-status"], identity.headers["cache-status"]) == ("aisle; fwd=miss", "aisle; hit")
    assert zipped.headers["cache-status"] == "aisle; hit"
    stored = redis_sync.client().hgetall("rec:u1")
    epoch, _, body = stored[b"user_id=u1&k=3"].partition(b"\n")
    assert (body, epoch.isdigit()) == (identity.content, True)
    zipped_epoch, _, zipped_body = stored[b"z:user_id=u1&k=3"].partition(b"\n")
    assert (gzip.decompress(zipped_body), zipped_epoch) == (identity.content, epoch)
    for name in ("x-request-id", "ratelimit", "cache-control"):
        assert name in zipped.headers
    cross = client.get("/recommendations?user_id=u1&k=3", headers={"Origin": "https://shop.example"})
    assert cross.headers["access-control-allow-origin"] == "*"
    assert cross.json() == first.json()
    # the same headers as an answer that passes through the library's middleware
    through = client.get("/popular", headers={"Origin": "https://shop.example"})
    for name in ("access-control-allow-origin", "access-control-expose-headers"):
        assert cross.headers[name] == through.headers[name]


def test_stored_answers_have_the_cors_headers_of_allowed_origins_only(env: dict[str, str], serve: Serve) -> None:
    with settings_of(env | {"CORS_ORIGINS": "https://shop.example"}):
        client = serve("recommendations")
        query = "/recommendations?user_id=u1&k=3"
        client.get(query)
        allowed = client.get(query, headers={"Origin": "https://shop.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert "Origin" in allowed.headers["vary"]
        assert (
            "access-control-allow-origin" not in client.get(query, headers={"Origin": "https://other.example"}).headers
        )


def test_an_encoded_user_id_is_the_same_user(client: httpx.Client, serve: Serve) -> None:
    send_events(serve, "a b/ü", event(1))
    for _ in range(2):
        assert client.get("/recommendations?user_id=a%20b%2F%C3%BC&k=2").json()["user_id"] == "a b/ü"
    assert redis_sync.client().exists("rec:a b/ü") == 1
    send_events(serve, "a b/ü", event(5))
    assert redis_sync.client().exists("rec:a b/ü") == 0


def test_an_answer_computed_before_an_event_is_not_stored_after_it(client: httpx.Client, env: dict[str, str]) -> None:
    # the user acts during the computation: in the candidates' statement
    @sqlalchemy_event.listens_for(postgres_engine.engine(), "checkout")
    def act(*_: object) -> None:
        invalidation.forget_users(["racer"])

    client.get("/recommendations", params={"user_id": "racer"})
    sqlalchemy_event.remove(postgres_engine.engine(), "checkout", act)
    assert redis_sync.client().exists("rec:racer") == 0
    client.get("/recommendations", params={"user_id": "racer"})
    assert redis_sync.client().exists("rec:racer") == 1


def test_a_flush_invalidates_every_stored_answer(client: httpx.Client) -> None:
    first = client.get("/recommendations?user_id=u1").json()["recommendation_id"]
    assert client.get("/recommendations?user_id=u1").json()["recommendation_id"] == first
    invalidation.flush("recommendations")
    assert client.get("/recommendations?user_id=u1").json()["recommendation_id"] != first


def test_a_user_with_many_different_queries_keeps_a_bounded_hash(client: httpx.Client) -> None:
    for number in range(40):
        client.get(f"/recommendations?user_id=u1&k={number + 1}")
    assert redis_sync.client().hlen("rec:u1") <= MAX_FIELDS
    assert 0 < redis_sync.client().ttl("rec:u1") <= 300


def test_a_miss_takes_two_statements(client: httpx.Client, serve: Serve, statements: list[str]) -> None:
    send_events(serve, "u1", event(1))
    statements.clear()
    client.get("/recommendations", params={"user_id": "u1", "k": 100})
    assert len(statements) == 2


@pytest.mark.parametrize(
    "query",
    [
        "user_id=",
        "user_id=u&k=0",
        "user_id=u&k=101",
        "user_id=u&k=x",
        "user_id=u&nope=1",
        "user_id=u&category_id=0",
        "user_id=u&exclude=a",
        "user_id=u&exclude=0",
        "user_id=u&latitude=1",
        "user_id=u&latitude=91&longitude=0",
        "user_id=u&latitude=nan&longitude=0",
        "user_id=%00",
        "user_id=%ff",
        "user_id=" + "u" * 256,
        "user_id=u&explain=maybe",
        "user_id=u&category_id=9999999999999999999999",
    ],
)
def test_a_bad_query_is_a_problem(client: httpx.Client, query: str) -> None:
    for _ in range(2):
        answer = client.get(f"/recommendations?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), query
    assert redis_sync.client().keys("rec:*") == []


def test_a_query_without_a_user_is_a_problem_that_names_both_remedies(client: httpx.Client) -> None:
    answer = client.get("/recommendations?k=5")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:aisle:problem:invalid-request")
    assert [error["field"] for error in answer.json()["errors"]] == ["user_id"]
    assert "token" in answer.json()["detail"]


def test_without_redis_every_answer_is_computed(env: dict[str, str], client: httpx.Client, serve: Serve) -> None:
    with settings_of(env | {"REDIS_URL": "redis://127.0.0.1:9/0"}):
        alone = serve("recommendations")
        assert listed(alone.get("/recommendations", params={"user_id": "new", "k": 2})) == [10, 11]
        assert alone.get("/similar-products", params={"product_id": 1}).status_code == 200
        assert len(alone.get("/popular").json()["products"]) == 0
        assert alone.get("/health").json()["redis"] == "unhealthy"


def test_without_postgres_every_user_gets_popular_products(
    env: dict[str, str], client: httpx.Client, serve: Serve
) -> None:
    rows = postgres.read("SELECT product_json(p, NULL, NULL)::text FROM products p WHERE id IN (7, 8) ORDER BY id")
    popular_ranking.replace([(7, 3, rows[0][0].encode()), (8, 9, rows[1][0].encode())])
    with settings_of(env | {"DATABASE_URL": "postgresql+pg8000://nobody@127.0.0.1:9/x"}):
        alone = serve("recommendations")
        answer = alone.get("/recommendations", params={"user_id": "u1", "k": 5})
        assert answer.json()["strategy"] == "popular"
        assert listed(answer) == [8, 7]
        assert alone.get("/similar-products", params={"product_id": 1}).status_code == 503
        assert alone.get("/health").json() | {"timestamp": ""} == {
            "status": "degraded",
            "service": "recommendations",
            "database": "unhealthy",
            "redis": "healthy",
            "timestamp": "",
        }
        redis_sync.client().flushdb()
        assert alone.get("/recommendations", params={"user_id": "u1"}).status_code == 503


def test_similar_products_are_the_models_neighbours(client: httpx.Client) -> None:
    query: dict[str, str | int] = {"product_id": 1, "k": 2, "kind": "collaborative"}
    answer = client.get("/similar-products", params=query)
    assert set(answer.json()) == {"product_id", "external_id", "similar_products", "generated_at"}
    assert [(product["id"], product["score"]) for product in answer.json()["similar_products"]] == [(2, 0.9), (3, 0.5)]
    etag = answer.headers["etag"]
    assert "max-age" in answer.headers["cache-control"]
    unchanged = client.get("/similar-products", params=query, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (answer.headers["cache-status"], unchanged.headers["cache-status"]) == ("aisle; fwd=miss", "aisle; hit")
    assert (
        client.get("/similar-products", params={"product_id": 99}).json()["type"]
        == "urn:aisle:problem:product-not-found"
    )


def test_a_product_without_neighbours_gets_its_categorys_trending_ones(client: httpx.Client) -> None:
    products = client.get("/similar-products", params={"product_id": 20, "k": 3}).json()["similar_products"]
    assert [product["id"] for product in products] == [10, 12, 14]


def test_trending_by_window_and_category(client: httpx.Client) -> None:
    answer = client.get("/trending", params={"window": "30d", "category_id": 2, "k": 2}).json()
    assert answer["window"] == "30d"
    assert [(product["id"], product["event_count"], product["rank"]) for product in answer["products"]] == [
        (11, 11, 1),
        (13, 13, 2),
    ]
    assert client.get("/trending", params={"window": "1d"}).status_code == 422
    assert client.get("/trending", params={"category_id": 99}).status_code == 404


def test_popular_is_live_and_falls_back_to_postgres(client: httpx.Client) -> None:
    postgres.write("INSERT INTO product_stats (product_id, purchase_count) VALUES (4, 7), (5, 9)")
    assert [(product["id"], product["score"]) for product in client.get("/popular?k=2").json()["products"]] == [
        (5, 9),
        (4, 7),
    ]
    (body,) = postgres.read("SELECT product_json(p, NULL, NULL)::text FROM products p WHERE id = 4")[0]
    popular_ranking.replace([(4, 70, body.encode())])
    assert [(product["id"], product["score"]) for product in client.get("/popular?k=1").json()["products"]] == [(4, 70)]


def test_recently_viewed_is_newest_first_and_each_product_once(client: httpx.Client, serve: Serve) -> None:
    views = [event(product, ago=timedelta(hours=hours)) for product, hours in ((1, 3), (2, 2), (1, 1))]
    send_events(serve, "u1", *views, event(3, "purchase"))
    products = client.get("/recently-viewed", params={"user_id": "u1"}).json()["products"]
    assert [product["id"] for product in products] == [1, 2]
    assert products[0]["viewed_at"] == (now() - timedelta(hours=1)).isoformat()
    postgres.write("UPDATE products SET is_active = false WHERE id = 1")
    left = client.get("/recently-viewed", params={"user_id": "u1"}).json()["products"]
    assert [product["id"] for product in left] == [2]
    assert client.get("/recently-viewed", params={"user_id": "nobody"}).json()["products"] == []


def test_a_shop_without_events_or_model_shows_its_newest_products(env: dict[str, str], serve: Serve) -> None:
    add_products(5)
    client = serve("recommendations")
    answer = client.get("/recommendations", params={"user_id": "u", "k": 3})
    assert listed(answer) == [5, 4, 3]
    assert answer.json()["model_version"] is None
    assert client.get("/health/ready").json()["checks"] == {"postgres": True, "redis": True, "model": False}


def test_an_empty_shop_is_an_empty_answer(env: dict[str, str], serve: Serve) -> None:
    assert listed(serve("recommendations").get("/recommendations", params={"user_id": "u"})) == []
