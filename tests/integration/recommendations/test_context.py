"""Session context and diversity of /recommendations."""

import httpx
import pytest

from shared.clients import postgres, redis_sync
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_model, add_products


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products(20)
    add_model({1: {2: 0.9, 3: 0.5}, 5: {6: 0.8, 1: 0.7}, 9: {8: 0.9}}, {"serving": {"rank_decay": 0.5, "blend": 1.0}})
    return serve("recommendations")


def recommend(client: httpx.Client, **query: object) -> list[int]:
    answer = client.get("/recommendations", params={"user_id": "visitor", "k": 3} | query)  # type: ignore[arg-type]  # numbers are sent as text
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in answer.json()["recommendations"]]


def test_a_visitor_without_history_gets_products_similar_to_the_one_viewed(client: httpx.Client) -> None:
    answer = client.get("/recommendations", params={"user_id": "visitor", "product_id": 1, "k": 2, "explain": True})
    body = answer.json()
    assert body["strategy"] == "personalized"
    assert [product["id"] for product in body["recommendations"]] == [2, 3]
    assert body["recommendations"][0]["reason"]["text"] == "Because you viewed Product 1"


def test_recent_products_weigh_less_the_earlier_they_were_viewed(client: httpx.Client) -> None:
    assert recommend(client, recent="9,1,5", k=2) == [8, 2]
    assert recommend(client, recent="1,9,5", k=2) == [2, 3]


def test_the_viewed_product_is_never_recommended_and_weighs_more_than_recent_ones(client: httpx.Client) -> None:
    product_ids = recommend(client, product_id=1, recent="5,1", k=20)
    assert 1 not in product_ids
    assert product_ids[:3] == [2, 3, 6]


def test_the_context_weighs_more_than_the_history(client: httpx.Client, serve: Serve) -> None:
    assert deliver(serve("update_preferences"), "visitor", event(1)).status_code == 200
    assert recommend(client, k=1) == [2]
    assert recommend(client, product_id=9, k=2) == [8, 2]


def test_unknown_context_products_have_no_effect(client: httpx.Client) -> None:
    answer = client.get("/recommendations", params={"user_id": "visitor", "recent": "777,888"})
    assert answer.json()["strategy"] == "trending"


def test_each_context_has_its_own_stored_answer(client: httpx.Client) -> None:
    assert recommend(client, product_id=1)[0] == 2
    assert recommend(client, product_id=9)[0] == 8
    assert len([key for key in redis_sync.client().hkeys("rec:visitor") if not key.startswith((b"z:", b"r:"))]) == 2


def test_diversity_adds_other_categories(client: httpx.Client) -> None:
    postgres.write("UPDATE products SET category_id = 1 WHERE id IN (2, 3, 6)")
    postgres.write("UPDATE products SET category_id = 2 WHERE id = 8")
    add_model({1: {2: 0.9, 3: 0.8, 6: 0.7, 8: 0.3}}, {"serving": {"blend": 1.0}})
    assert recommend(client, product_id=1, k=4) == [2, 3, 6, 8]
    assert recommend(client, product_id=1, k=4, diversity=0) == [2, 3, 6, 8]
    assert recommend(client, product_id=1, k=4, diversity=0.9)[:2] == [2, 8]


@pytest.mark.parametrize(
    "query",
    [
        "product_id=0",
        "product_id=x",
        "product_id=",
        "recent=1,x",
        "recent=1,0",
        "recent=,",
        "recent=" + ",".join(["1"] * 51),
        "diversity=-0.1",
        "diversity=1.1",
        "diversity=nan",
        "diversity=much",
        "recent=99999999999999999999",
    ],
)
def test_a_bad_context_is_a_problem(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/recommendations?user_id=u&{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_fifty_recent_products_are_accepted(client: httpx.Client) -> None:
    assert client.get("/recommendations?user_id=u&recent=" + ",".join(map(str, range(1, 51)))).status_code == 200
