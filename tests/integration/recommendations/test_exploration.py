"""New products among the recommendations, if the shop sets EXPLORATION_SHARE."""

import pytest

from shared import clients
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import add_model, add_products

# products without events, all but the last added just now
NEW = """
INSERT INTO products (name, description, price, quantity, created_at) VALUES
('Brass hurricane lantern', 'a lantern of brass', 9, 5, now()),
('Garden hose', 'ten metres', 9, 5, now()),
('Brass lantern, sold out', 'a lantern of brass', 9, 0, now()),
('Old brass lantern', 'a lantern of brass', 9, 5, now() - interval '20 days')
RETURNING id
"""


@pytest.fixture
def new(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Twenty old products, the first a lantern, and four new ones without events."""
    add_products(20)
    postgres.write("UPDATE products SET created_at = now() - interval '1 year'")
    postgres.write("UPDATE products SET name = 'Brass lantern' WHERE id = 1")
    add_model({1: {2: 0.9, 3: 0.5, 4: 0.4, 5: 0.3, 6: 0.2}}, {"serving": {"blend": 1.0}})
    ids = [row[0] for row in postgres.write(NEW)]
    postgres.write("SELECT refresh_content(NULL)")
    monkeypatch.setenv("EXPLORATION_SHARE", "0.2")
    clients.reset()
    return ids


def recommend(serve: Serve, **query: object) -> list[dict[str, object]]:
    parameters = {"user_id": "visitor", "product_id": 1, "k": 5} | query
    answer = serve("recommendations").get("/recommendations", params=parameters)  # type: ignore[arg-type]  # as text
    assert answer.status_code == 200, answer.text
    products: list[dict[str, object]] = answer.json()["recommendations"]
    return products


def test_a_new_product_similar_to_the_one_viewed_gets_the_last_position(new: list[int], serve: Serve) -> None:
    products = recommend(serve, explain=True)
    assert [product["id"] for product in products] == [2, 3, 4, 5, new[0]]
    assert products[-1]["reason"] == {"kind": "new", "product_id": None, "product_name": None, "text": "New for you"}
    logged = postgres.read("SELECT product_ids FROM recommendation_log ORDER BY 1 DESC LIMIT 1")
    assert new[0] in logged[0][0]


def test_filters_and_rules_apply_to_new_products_too(new: list[int], serve: Serve) -> None:
    assert new[0] not in [product["id"] for product in recommend(serve, exclude=str(new[0]))]
    assert [product["id"] for product in recommend(serve, exclude=str(new[0]), in_stock=False)][-1] == new[2]
    postgres.write("INSERT INTO rules (kind, product_id) VALUES ('exclude', :id)", id=new[0])
    assert new[0] not in [product["id"] for product in recommend(serve, k=10)]


def test_without_a_profile_or_without_a_share_no_new_product_is_inserted(
    new: list[int], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = serve("recommendations").get("/recommendations", params={"user_id": "nobody", "k": 5})
    assert not {product["id"] for product in answer.json()["recommendations"]} - set(range(1, 25))
    monkeypatch.delenv("EXPLORATION_SHARE")
    clients.reset()
    assert [product["id"] for product in recommend(serve)] == [2, 3, 4, 5, 6]
