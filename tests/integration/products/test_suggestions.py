"""Suggestions of products: with the shop's own ids, and one of the variants of a product."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve

SANDAL, SNEAKER = "竹製サンダル", "竹製スニーカー"


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """Two sandals in two sizes each, and a sneaker whose own id of ours is the group of the second sandal."""
    postgres.write(
        """INSERT INTO products (id, external_id, name, price, quantity, item_group_id) VALUES
           (1, 'S1/S', :sandal, 9, 0, 'sandal-1'), (2, 'S1/M', :sandal, 9, 5, 'sandal-1'),
           (3, 'S2/S', :sandal, 9, 5, '5'), (4, 'S2/M', :sandal, 9, 5, '5'),
           (5, 'NOR.0707-60', :sneaker, 9, 5, NULL), (6, 'JP/6', :sneaker, 9, 5, NULL)""",
        sandal=SANDAL,
        sneaker=SNEAKER,
    )
    return serve("products")


def products(client: httpx.Client, text: str) -> list[tuple[Any, Any, Any]]:
    answer = client.get("/products/suggest", params={"q": text})
    assert answer.status_code == 200, answer.text
    return [
        (suggestion["text"], suggestion["product_id"], suggestion["external_id"])
        for suggestion in answer.json()["suggestions"]
        if suggestion["kind"] == "product"
    ]


def test_a_product_is_suggested_once_by_a_variant_in_stock_and_with_both_ids(client: httpx.Client) -> None:
    assert products(client, "サンダ") == [(SANDAL, 2, "S1/M"), (SANDAL, 3, "S2/S")]
    assert products(client, "スニー") == [(SNEAKER, 5, "NOR.0707-60"), (SNEAKER, 6, "JP/6")]


def test_a_group_that_is_named_like_the_id_of_another_product_hides_nothing(client: httpx.Client) -> None:
    assert [product_id for _text, product_id, _external_id in products(client, "竹製")] == [2, 3, 5, 6]


def test_a_variant_is_suggested_by_its_own_sku(client: httpx.Client) -> None:
    assert products(client, "S2/M") == [(SANDAL, 4, "S2/M")]
