"""/popular and /trending: what can be bought comes before what cannot."""

import httpx
import pytest

from shared.clients import postgres, redis_sync
from shared.storage.answers import popular_ranking
from shared.storage.recommending.popular import most_bought
from tests.integration.conftest import Serve
from tests.integration.shop import add_products

PRODUCTS = 12
SOLD_OUT = (1, 2, 4, 12)


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """A shop whose product 1 is the best of twelve, and whose products of SOLD_OUT are sold out."""
    add_products(PRODUCTS)
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT w, id, 100 - id, 1, category_id FROM products, unnest(ARRAY['7d', '30d']) AS w"""
    )
    postgres.write(
        """INSERT INTO product_stats (product_id, purchase_count) SELECT id, 100 - id FROM products
           ON CONFLICT (product_id) DO UPDATE SET purchase_count = EXCLUDED.purchase_count"""
    )
    postgres.write("UPDATE products SET quantity = 0 WHERE id = ANY (:ids)", ids=list(SOLD_OUT))
    return serve("recommendations")


def ids(client: httpx.Client, path: str, **query: object) -> list[int]:
    answer = client.get(path, params=query)  # type: ignore[arg-type]  # numbers are sent as text
    assert answer.status_code == 200, answer.text
    products = answer.json()["products"]
    assert [product["rank"] for product in products] == list(range(1, len(products) + 1))
    return [product["id"] for product in products]


def store_ranking() -> None:
    assert popular_ranking.replace(most_bought(200))


@pytest.mark.parametrize("path", ["/popular", "/trending"])
@pytest.mark.parametrize("has_ranking", [True, False], ids=["from Redis", "from PostgreSQL"])
def test_sold_out_products_follow_all_others(client: httpx.Client, path: str, has_ranking: bool) -> None:
    if has_ranking:
        store_ranking()
    # eight are in stock: seven and eight places have no other
    assert ids(client, path, k=7) == [3, 5, 6, 7, 8, 9, 10]
    assert ids(client, path, k=8) == [3, 5, 6, 7, 8, 9, 10, 11]
    assert ids(client, path, k=9) == [3, 5, 6, 7, 8, 9, 10, 11, 1]
    assert ids(client, path, k=20) == [3, 5, 6, 7, 8, 9, 10, 11, 1, 2, 4, 12]


def test_within_a_category_as_well(client: httpx.Client) -> None:
    category = postgres.read("SELECT category_id FROM products WHERE id = 2")[0][0]
    assert ids(client, "/trending", k=5, category_id=category) == [6, 8, 10, 2, 4]


@pytest.mark.parametrize("path", ["/popular", "/trending"])
def test_a_shop_without_stock_data_has_its_usual_order(client: httpx.Client, path: str) -> None:
    postgres.write("UPDATE products SET quantity = 0")
    store_ranking()
    assert ids(client, path, k=5) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("path", ["/popular", "/trending"])
def test_a_group_with_a_variant_in_stock_is_in_stock(client: httpx.Client, path: str) -> None:
    # product 2 is shown in the place of product 1; those of the other group are all sold out
    postgres.write("UPDATE products SET item_group_id = 'shirt' WHERE id IN (1, 2)")
    postgres.write("UPDATE products SET quantity = 3 WHERE id = 2")
    postgres.write("UPDATE products SET item_group_id = 'lamp' WHERE id IN (4, 12)")
    assert ids(client, path, k=10) == [2, 3, 5, 6, 7, 8, 9, 10, 11, 4]


def test_the_live_ranking_knows_what_was_sold_out_since(client: httpx.Client) -> None:
    store_ranking()
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 3")
    postgres.write("UPDATE products SET quantity = 7 WHERE id = 1")
    bodies = {product: body for product, _, body in most_bought(200)}
    popular_ranking.refresh_products({product: bodies[product] for product in (1, 3)})
    assert ids(client, "/popular", k=3) == [1, 5, 6]
    # a purchase counts at once, in stock or not
    popular_ranking.count_purchases([(6, 50), (3, 500)])
    assert ids(client, "/popular", k=4) == [6, 1, 5, 7]
    assert redis_sync.client().zscore("popular", "3") == 597
