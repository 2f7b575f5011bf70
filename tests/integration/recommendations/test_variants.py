"""Variants of one product: an answer shows one of them, the best in stock, and has as many products as without them."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.answers import popular_ranking
from shared.storage.recommending.popular import most_bought
from tests.integration.conftest import Serve
from tests.integration.people import ADMIN
from tests.integration.shop import StoredEvent, add_events, add_model, add_products

# products 1 to 4 are sizes of one shirt, 5 and 6 colours of one mug; 11 has a group of its own
GROUPS = {1: "shirt", 2: "shirt", 3: "shirt", 4: "shirt", 5: "mug", 6: "mug", 11: "alone"}


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """Twelve products, which make eight; each sells and trends the more, the smaller its id."""
    add_products(12)
    for product_id, group in GROUPS.items():
        postgres.write("UPDATE products SET item_group_id = :group WHERE id = :id", id=product_id, group=group)
    postgres.write("INSERT INTO product_stats SELECT n, 0, 100 - n FROM generate_series(1, 12) AS n")
    for window in ("7d", "30d"):
        postgres.write(
            f"INSERT INTO trending_scores SELECT '{window}', p.id, 100 - p.id, 1, now(), p.category_id FROM products p"
        )
    add_model({n: {m: 1 / (1 + abs(n - m)) for m in range(1, 13) if m != n} for n in range(1, 13)})
    return serve("recommendations")


def sell_out(*product_ids: int) -> None:
    postgres.write("UPDATE products SET quantity = 0 WHERE id = ANY (cast(:ids AS bigint[]))", ids=list(product_ids))


def listed(answer: httpx.Response, key: str = "recommendations") -> list[int]:
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in answer.json()[key]]


def groups(ids: list[int]) -> list[Any]:
    return sorted(str(GROUPS.get(product_id, product_id)) for product_id in ids)


EIGHT = sorted(["shirt", "mug", "alone", "7", "8", "9", "10", "12"])


@pytest.mark.parametrize("query", [{}, {"in_stock": "true"}, {"in_stock": "false"}, {"repeats": "include"}])
def test_an_answer_has_each_product_once_and_all_of_them(client: httpx.Client, query: dict[str, str]) -> None:
    ids = listed(client.get("/recommendations", params={"user_id": "new", "k": 12, **query}))
    assert groups(ids) == EIGHT
    assert {1, 5} <= set(ids)


def test_a_short_answer_is_filled_by_other_products(client: httpx.Client) -> None:
    # the four best are one shirt
    assert listed(client.get("/recommendations", params={"user_id": "new", "k": 4})) == [1, 5, 7, 8]


@pytest.mark.parametrize("query", [{}, {"in_stock": "true"}])
def test_the_variant_in_stock_is_shown(client: httpx.Client, query: dict[str, str]) -> None:
    sell_out(1, 2, 5)
    ids = listed(client.get("/recommendations", params={"user_id": "new", "k": 12, **query}))
    assert groups(ids) == EIGHT
    assert {3, 6} <= set(ids)
    # what the shop's rules exclude is not shown in its stead
    postgres.write("INSERT INTO rules (kind, product_id) VALUES ('exclude', 3)")
    assert 4 in listed(client.get("/recommendations", params={"user_id": "new2", "k": 12, **query}))


def test_a_product_all_of_whose_variants_are_sold_out_comes_last(client: httpx.Client) -> None:
    sell_out(1, 2, 3, 4)
    ids = listed(client.get("/recommendations", params={"user_id": "new", "k": 12}))
    assert (groups(ids), groups(ids[-1:])) == (EIGHT, ["shirt"])
    in_stock = listed(client.get("/recommendations", params={"user_id": "new", "k": 12, "in_stock": "true"}))
    assert groups(in_stock) == [name for name in EIGHT if name != "shirt"]


@pytest.mark.parametrize(
    "query", [{"product_id": "2"}, {"external_id": "SKU2"}, {"exclude": "2"}, {"exclude_external": "SKU2"}]
)
@pytest.mark.parametrize("repeats", ["exclude", "include"])
def test_no_variant_of_the_request_s_product_is_shown(
    client: httpx.Client, query: dict[str, str], repeats: str
) -> None:
    params = {"user_id": "new", "k": 12, "repeats": repeats, **query}
    assert groups(listed(client.get("/recommendations", params=params))) == [n for n in EIGHT if n != "shirt"]


def test_what_a_user_bought_is_not_recommended_in_another_variant(client: httpx.Client) -> None:
    add_events([StoredEvent("u1", 2, "purchase", 1.0), StoredEvent("u2", 9)])
    postgres.write("INSERT INTO user_purchases SELECT id, 2, 1, now(), now() FROM users WHERE external_id = 'u1'")
    before = listed(client.get("/recommendations", params={"user_id": "u1", "k": 7}))
    assert groups(before) == [name for name in EIGHT if name != "shirt"]
    # too few are left: the variant that was bought returns, once
    filled = listed(client.get("/recommendations", params={"user_id": "u1", "k": 12}))
    assert groups(filled) == EIGHT
    assert filled[-1] == 2
    # another user may see it
    assert "shirt" in groups(listed(client.get("/recommendations", params={"user_id": "u2", "k": 7})))


def test_a_pin_takes_the_place_of_the_other_variants(client: httpx.Client) -> None:
    postgres.write("INSERT INTO rules (kind, product_id, position) VALUES ('pin', 4, 2), ('pin', 3, 3)")
    ids = listed(client.get("/recommendations", params={"user_id": "new", "k": 12}))
    assert (groups(ids), ids[1]) == (EIGHT, 4)


def test_batches_show_each_product_once(client: httpx.Client) -> None:
    body = {"user_ids": ["a", "b"], "k": 12}
    for answer in client.post("/recommendations/batch", json=body, headers=ADMIN).json()["answers"]:
        assert groups([product["id"] for product in answer["recommendations"]]) == EIGHT


def test_similar_products_are_other_products(client: httpx.Client) -> None:
    ids = listed(client.get("/similar-products", params={"product_id": 3, "k": 12}), "similar_products")
    assert groups(ids) == [name for name in EIGHT if name != "shirt"]
    sell_out(5)
    # 5 is the nearer of the two
    assert listed(client.get("/similar-products", params={"product_id": 4, "k": 1}), "similar_products") == [6]
    assert groups(listed(client.get("/similar-products", params={"product_id": 9, "k": 12}), "similar_products")) == [
        name for name in EIGHT if name != "9"
    ]


def test_products_bought_together_are_other_products(client: httpx.Client) -> None:
    postgres.write(
        """INSERT INTO bought_together (product_id, others, scores, lifts, confidences, counts)
           VALUES (1, '{2,5,6,7}', '{0.9,0.8,0.7,0.75}', '{2,2,2,2}', '{0.9,0.9,0.9,0.9}', '{3,3,3,3}')"""
    )
    path = "/frequently-bought-together"
    assert listed(client.get(path, params={"product_id": 1}), "products") == [5, 7]
    sell_out(5)
    assert listed(client.get(path, params={"product_id": 1, "k": 9}), "products") == [6, 7]
    assert listed(client.get(path, params={"product_id": 1, "in_stock": "true"}), "products") == [6, 7]


@pytest.mark.parametrize("query", [{}, {"category": "Bags"}])
def test_trending_products_are_listed_once(client: httpx.Client, query: dict[str, str]) -> None:
    ids = listed(client.get("/trending", params={"k": 5, **query}), "products")
    assert ids == ([1, 5, 7, 8, 9] if not query else [1, 5, 7, 9, 11])
    sell_out(1)
    assert listed(client.get("/trending", params={"k": 6, **query}), "products")[0] == 2


def test_popular_products_are_listed_once(client: httpx.Client) -> None:
    assert listed(client.get("/popular", params={"k": 4}), "products") == [1, 5, 7, 8]
    sell_out(1)
    rows = most_bought(4)
    assert [product_id for product_id, _purchases, _product in rows] == [2, 5, 7, 8]
    popular_ranking.replace(most_bought(12))
    assert listed(client.get("/popular", params={"k": 8}), "products")[:4] == [2, 5, 7, 8]


def test_buy_again_and_recently_viewed_show_the_variant_that_the_user_met(client: httpx.Client) -> None:
    add_events([StoredEvent("u1", 2, "view", 3.0), StoredEvent("u1", 3, "view", 2.0), StoredEvent("u1", 9)])
    assert listed(client.get("/recently-viewed", params={"user_id": "u1"}), "products") == [9, 3]
    for product_id, days in ((2, 60), (3, 40), (9, 50)):
        postgres.write(
            """INSERT INTO user_purchases SELECT id, :product, 1, now() - make_interval(days => :days),
                      now() - make_interval(days => :days) FROM users WHERE external_id = 'u1'""",
            product=product_id,
            days=days,
        )
    bought = listed(client.get("/buy-again", params={"user_id": "u1"}), "products")
    assert sorted(bought) == [3, 9]
