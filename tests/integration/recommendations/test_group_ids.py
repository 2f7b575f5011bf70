"""Groups of variants have ids of the shop's. One that looks like our id of another product is no group with it."""

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_model, add_products

# products 1 and 2 are variants, and so are 3 and 4; 5, 6 and 7 have no variants
GROUPS = {1: "6", 2: "6", 3: "7", 4: "7"}
EXPECTED = {1, 3, 5, 6, 7}


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """Seven products, which make five."""
    add_products(7)
    for product_id, group in GROUPS.items():
        postgres.write("UPDATE products SET item_group_id = :group WHERE id = :id", id=product_id, group=group)
    return serve("recommendations")


def listed(client: httpx.Client, path: str, key: str, **query: object) -> set[int]:
    answer = client.get(path, params={"k": 10} | query)  # type: ignore[arg-type]  # numbers are sent as text
    assert answer.status_code == 200, answer.text
    return {product["id"] for product in answer.json()[key]}


def test_recently_viewed_and_known_products_return_whole(client: httpx.Client) -> None:
    add_events([StoredEvent("u1", product_id, "view") for product_id in EXPECTED])
    assert listed(client, "/recently-viewed", "products", user_id="u1") == EXPECTED
    assert listed(client, "/recommendations", "recommendations", user_id="u1", repeats="only") == EXPECTED


def test_similar_products_are_whole(client: httpx.Client) -> None:
    add_model({5: {1: 0.9, 2: 0.8, 3: 0.7, 6: 0.6, 7: 0.5}})
    assert listed(client, "/similar-products", "similar_products", product_id=5) == EXPECTED - {5}
