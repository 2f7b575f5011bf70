"""The job that rebuilds the live ranking."""

import orjson

from shared.clients import postgres, redis_sync
from shared.storage.answers import popular_ranking, protocol
from tests.integration.conftest import Serve
from tests.integration.shop import add_plain_products


def bought(counts: dict[int, int]) -> None:
    for product, count in counts.items():
        postgres.write(
            """INSERT INTO product_stats (product_id, purchase_count) VALUES (:product, :count)
               ON CONFLICT (product_id) DO UPDATE SET purchase_count = EXCLUDED.purchase_count""",
            product=product,
            count=count,
        )


def ranking() -> list[tuple[int, float]]:
    members = redis_sync.client().zrevrange(protocol.POPULAR, 0, -1, withscores=True)
    return [(int(product), count) for product, count in members]


def test_the_ranking_is_that_of_postgres_with_products_as_they_are_shown(env: object, serve: Serve) -> None:
    ids = add_plain_products(4, inactive=[3])
    bought({ids[0]: 5, ids[1]: 9, ids[3]: 100})
    answer = serve("popular").post("/", json={})
    assert answer.json()["products"] == 2
    assert ranking() == [(ids[1], 9), (ids[0], 5)]
    # it outlives an outage of Postgres of a day
    for key in (protocol.POPULAR, protocol.POPULAR_PRODUCTS):
        assert 86_400 - 60 < redis_sync.client().ttl(key) <= 86_400
    product = orjson.loads(redis_sync.client().hget(protocol.POPULAR_PRODUCTS, str(ids[1])))
    assert (product["id"], product["name"], product["price"], product["purchase_count"]) == (
        ids[1],
        "product 1",
        1.5,
        9,
    )


def test_an_increment_that_redis_missed_or_made_up_lives_until_the_next_run(env: object, serve: Serve) -> None:
    ids = add_plain_products(2)
    bought({ids[0]: 5, ids[1]: 4})
    job = serve("popular")
    job.post("/", json={})
    popular_ranking.count_purchases([(ids[1], 50)])
    assert ranking()[0] == (ids[1], 54)
    bought({ids[1]: 6})
    job.post("/", json={})
    assert ranking() == [(ids[1], 6), (ids[0], 5)]


def test_only_the_first_200_are_kept(env: object, serve: Serve) -> None:
    ids = add_plain_products(210)
    postgres.write("INSERT INTO product_stats (product_id, purchase_count) SELECT id, id FROM products")
    serve("popular").post("/", json={})
    assert [product for product, _count in ranking()] == sorted(ids, reverse=True)[:200]


def test_an_empty_ranking_replaces_the_old_one(env: object, serve: Serve) -> None:
    (product,) = add_plain_products(1)
    bought({product: 1})
    job = serve("popular")
    job.post("/", json={})
    postgres.write("UPDATE products SET is_active = false")
    assert job.post("/", json={}).json()["products"] == 0
    assert ranking() == []
    assert redis_sync.client().exists(protocol.POPULAR_PRODUCTS) == 0


def test_without_redis_the_run_fails_as_unavailable(env: object, serve: Serve, monkeypatch: object) -> None:
    import os

    from shared.clients import reset

    job = serve("popular")
    before = os.environ["REDIS_URL"]
    os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    reset()
    try:
        answer = job.post("/", json={})
    finally:
        os.environ["REDIS_URL"] = before
        reset()
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:aisle:problem:unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert postgres.read("SELECT outcome FROM job_runs")[0][0] == "failed"
