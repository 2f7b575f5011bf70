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


def ask(serve: Serve, **query: object) -> list[dict[str, object]]:
    given = {"user_id": "visitor", "product_id": 1, "k": 5} | query
    answer = serve("recommendations").get("/recommendations", params=given)  # type: ignore[arg-type]  # as text
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["recommendations"]
    return found


def test_a_new_product_similar_to_the_one_viewed_gets_the_last_position(new: list[int], serve: Serve) -> None:
    found = ask(serve, explain=True)
    assert [one["id"] for one in found] == [2, 3, 4, 5, new[0]]
    assert found[-1]["reason"] == {"kind": "new", "product_id": None, "product_name": None, "text": "New for you"}
    shown = postgres.read("SELECT product_ids FROM recommendation_log ORDER BY 1 DESC LIMIT 1")
    assert new[0] in shown[0][0]


def test_filters_and_rules_apply_to_new_products_too(new: list[int], serve: Serve) -> None:
    assert new[0] not in [one["id"] for one in ask(serve, exclude=str(new[0]))]
    assert [one["id"] for one in ask(serve, exclude=str(new[0]), in_stock=False)][-1] == new[2]
    postgres.write("INSERT INTO rules (kind, product_id) VALUES ('exclude', :id)", id=new[0])
    assert new[0] not in [one["id"] for one in ask(serve, k=10)]


def test_without_a_profile_or_without_a_share_no_new_product_is_inserted(
    new: list[int], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = serve("recommendations").get("/recommendations", params={"user_id": "nobody", "k": 5})
    assert not {one["id"] for one in answer.json()["recommendations"]} - set(range(1, 25))
    monkeypatch.delenv("EXPLORATION_SHARE")
    clients.reset()
    assert [one["id"] for one in ask(serve)] == [2, 3, 4, 5, 6]
