"""Hidden products are in no answer, and leave no gap in it."""

import httpx

from shared.clients import postgres, redis_sync
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_model

# of the twelve products
HIDDEN = {2, 4, 6}


def hide(client: httpx.Client) -> None:
    """Hide the products that a model, the counters and trends name first."""
    add_model({1: {product: 1 - product / 100 for product in range(2, 13)}}, {"serving": {"blend": 1.0}})
    postgres.write(
        """INSERT INTO product_stats (product_id, purchase_count) SELECT id, 100 - id FROM products
           ON CONFLICT (product_id) DO UPDATE SET purchase_count = EXCLUDED.purchase_count"""
    )
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT w, id, 100 - id, 1, category_id FROM products, unnest(ARRAY['7d', '30d']) AS w"""
    )
    postgres.write("UPDATE products SET is_active = false WHERE id = ANY (:ids)", ids=list(HIDDEN))


def ids(client: httpx.Client, path: str, member: str, **query: object) -> list[int]:
    answer = client.get(path, params=query)  # type: ignore[arg-type]  # numbers are sent as text
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in answer.json()[member]]


def test_a_full_answer_has_other_products_in_their_places(client: httpx.Client, serve: Serve) -> None:
    assert deliver(serve("update_preferences"), "u1", event(1)).status_code == 200
    hide(client)
    for user in ("u1", "stranger"):
        shown = ids(client, "/recommendations", "recommendations", user_id=user, k=8)
        assert len(shown) == 8
        assert not HIDDEN & set(shown)
    assert ids(client, "/recommendations", "recommendations", user_id="u1", k=8) == [3, 5, 7, 8, 9, 10, 11, 12]
    # those of the same category first, whose descriptions are all alike
    assert ids(client, "/similar-products", "similar_products", product_id=1, k=8) == [3, 5, 7, 9, 11, 8, 10, 12]
    assert ids(client, "/trending", "products", k=8) == [1, 3, 5, 7, 8, 9, 10, 11]


def test_popular_products_from_postgres_leave_hidden_ones_out(client: httpx.Client) -> None:
    hide(client)
    redis_sync.client().delete("popular", "popular:products")
    assert ids(client, "/popular", "products", k=9) == [1, 3, 5, 7, 8, 9, 10, 11, 12]
