"""How long answers that are the same for everybody live, in Redis and at the client, as docs/architecture.md says."""

import httpx
import pytest

from shared.clients import redis_sync
from tests.integration.conftest import Serve
from tests.integration.shop import add_products

HOUR, QUARTER, MINUTE = 3600, 900, 60
# path, the beginning of its key in Redis, seconds there, and Cache-Control
LIFETIMES = [
    ("recommendations", "/similar-products?product_id=1", "sim:", HOUR, "public, max-age=60"),
    ("recommendations", "/frequently-bought-together?product_id=1", "together:", HOUR, "public, max-age=60"),
    ("recommendations", "/trending", "trending:", QUARTER, "public, max-age=60"),
    ("products", "/products", "products:page:", MINUTE, "public, max-age=5"),
    ("products", "/products/1", "products:one:1", MINUTE, "public, max-age=5"),
    ("products", "/products/categories", "products:categories", MINUTE, "public, max-age=5"),
    ("products", "/products/suggest?q=pro", "products:suggest:", MINUTE, "public, max-age=5"),
]


@pytest.fixture
def functions(env: dict[str, str], serve: Serve) -> dict[str, httpx.Client]:
    add_products(3)
    return {name: serve(name) for name in ("recommendations", "products")}


def stored() -> dict[str, int]:
    """Return the answers in Redis with the seconds that they have left."""
    redis = redis_sync.client()
    # beside them are the epochs, and counts of requests
    return {key.decode(): redis.ttl(key) for key in redis.keys("*") if key != b"epochs" and key[:5] != b"rate:"}


def test_each_answer_for_everybody_has_the_lifetime_of_its_kind(functions: dict[str, httpx.Client]) -> None:
    for name, path, key, seconds, cache_control in LIFETIMES:
        before = stored()
        answer = functions[name].get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, cache_control), path
        ((new, left),) = [entry for entry in stored().items() if entry[0] not in before]
        assert new.startswith(key), path
        assert seconds - 30 < left <= seconds, path


def test_the_live_ranking_is_read_anew_after_ten_seconds(functions: dict[str, httpx.Client]) -> None:
    answer = functions["recommendations"].get("/popular")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=10")
    assert stored() == {}


@pytest.mark.parametrize("path", ["/similar-products", "/frequently-bought-together"])
def test_an_answer_with_an_id_of_its_own_is_kept_nowhere(functions: dict[str, httpx.Client], path: str) -> None:
    answers = [
        functions["recommendations"].get(path, params={"product_id": 1, "user_id": user}) for user in ("ann", "ann")
    ]
    assert [answer.headers["cache-control"] for answer in answers] == ["private, no-cache"] * 2
    assert answers[0].json()["recommendation_id"] != answers[1].json()["recommendation_id"]
    assert stored() == {}


@pytest.mark.parametrize(
    ("name", "path", "queries"),
    [
        (
            "recommendations",
            "/similar-products",
            [
                "product_id=1",
                "product_id=2",
                "external_id=SKU1",
                "product_id=1&k=3",
                "product_id=1&kind=content",
                "product_id=1&kind=collaborative",
                "product_id=1&explain=true",
            ],
        ),
        (
            "recommendations",
            "/frequently-bought-together",
            [
                "product_id=1",
                "product_id=1,2",
                "product_id=2,1",
                "external_id=SKU1",
                "product_id=1&k=3",
                "product_id=1&in_stock=true",
                "product_id=1&explain=true",
            ],
        ),
        ("recommendations", "/trending", ["", "k=3", "window=30d", "category=Bags", "category_id=1"]),
        ("products", "/products/suggest", ["q=pro", "q=prod", "q=pro&k=3"]),
        ("products", "/products", ["", "page=2", "page_size=2", "search=product", "in_stock=true", "category=Bags"]),
    ],
)
def test_each_parameter_that_changes_an_answer_has_an_answer_of_its_own(
    functions: dict[str, httpx.Client], name: str, path: str, queries: list[str]
) -> None:
    for state in ("fwd=miss", "hit"):
        answers = [functions[name].get(f"{path}?{query}") for query in queries]
        assert [answer.status_code for answer in answers] == [200] * len(queries)
        assert [answer.headers["cache-status"] for answer in answers] == [f"aisle; {state}"] * len(queries)
