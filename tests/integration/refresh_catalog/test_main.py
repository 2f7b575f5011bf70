"""The event function that refreshes everything derived from the catalog."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.clients import redis_sync
from shared.clients.postgres import read, write
from shared.storage.answers import popular_ranking, protocol

Deliver = Callable[..., httpx.Response]


def words() -> dict[str, int]:
    return {row[0]: row[1] for row in read("SELECT word, products FROM search_words")}


def test_the_vocabulary_counts_the_products_that_have_each_word(shop: dict[str, int]) -> None:
    counted = words()
    assert (counted["heart"], counted["wicker"], counted["christmas"], counted["onion"]) == (4, 2, 2, 1)
    # words of name, tags and category, without digits and of at least three letters
    assert "85123a" not in counted
    assert "of" not in counted


def test_words_follow_renamed_hidden_and_new_products_even_if_delivered_twice(
    shop: dict[str, int], deliver: Deliver
) -> None:
    write("UPDATE products SET name = 'Wicker Basket', tags = '{}' WHERE id = :id", id=shop["H2"])
    write("UPDATE products SET is_active = false WHERE id = :id", id=shop["O1"])
    for _ in range(2):
        assert deliver({"product_ids": [shop["H2"], shop["O1"], 999_999], "change": "updated"}).status_code == 200
        counted = words()
        assert (counted["heart"], counted["basket"], counted["wicker"]) == (3, 1, 2)
        assert "onion" not in counted
    write("UPDATE products SET is_active = true WHERE id = :id", id=shop["O1"])
    deliver({"product_ids": [shop["O1"]], "change": "updated"})
    assert words()["onion"] == 1


def test_products_are_found_by_the_new_name_of_their_category(
    shop: dict[str, int], client: httpx.Client, deliver: Deliver
) -> None:
    write("UPDATE categories SET name = 'Tableware' WHERE name = 'Kitchen'")
    deliver({"product_ids": list(shop.values()), "change": "updated"})
    assert client.get("/products", params={"search": "tableware"}).json()["total"] == 3
    assert client.get("/products", params={"search": "tablewear"}).json()["corrected_query"] == "tableware"
    assert client.get("/products", params={"search": "kitchen"}).json()["total"] == 0


def test_stored_answers_that_contain_products_are_dropped(
    shop: dict[str, int], client: httpx.Client, deliver: Deliver
) -> None:
    path = f"/products/{shop['H2']}"
    assert client.get(path).json()["quantity"] == 0
    write("UPDATE products SET quantity = 8 WHERE id = :id", id=shop["H2"])
    assert client.get(path).json()["quantity"] == 0
    deliver({"product_ids": [shop["H2"]], "change": "updated"})
    assert client.get(path).json()["quantity"] == 8
    epochs = redis_sync.client().hgetall("epochs")
    assert {name.decode() for name in epochs} >= {"products", "similar", "recommendations", "trending"}


def test_the_live_ranking_shows_changes_and_drops_hidden_products(shop: dict[str, int], deliver: Deliver) -> None:
    popular_ranking.replace([(shop["H2"], 700, b"old"), (shop["H3"], 300, b"old")])
    write("UPDATE products SET is_active = false WHERE id = :id", id=shop["H3"])
    deliver({"product_ids": [shop["H2"], shop["H3"], shop["L1"]], "change": "updated"})
    redis = redis_sync.client()
    assert b'"Heart of Wicker, small"' in (redis.hget(protocol.POPULAR_PRODUCTS, str(shop["H2"])) or b"")
    # a change does not add a product to the ranking
    assert redis.hkeys(protocol.POPULAR_PRODUCTS) == [str(shop["H2"]).encode()]
    assert redis.zrange(protocol.POPULAR, 0, -1) == [str(shop["H2"]).encode()]


UNREADABLE: list[tuple[Any, dict[str, Any]]] = [
    (b"not json", {}),
    ([], {}),
    ({}, {}),
    ({"product_ids": []}, {}),
    ({"product_ids": ["1"]}, {}),
    ({"product_ids": [0]}, {}),
    ({"product_ids": [2**63]}, {}),
    ({"product_ids": [1]}, {"schema": "user-events/1"}),
    ({"product_ids": [1]}, {"data": "*not base64*"}),
]


def test_a_message_that_can_never_succeed_is_rejected_with_a_reason_and_acknowledged(
    env: dict[str, str], deliver: Deliver
) -> None:
    for number, (body, extra) in enumerate(UNREADABLE):
        for _ in range(2):
            assert deliver(body, message_id=f"bad-{number}", **extra).status_code == 200, (body, extra)
    rejected = read("SELECT message_id, reason FROM rejected_events ORDER BY id")
    assert [row[0] for row in rejected] == [f"bad-{number}" for number in range(len(UNREADABLE))]
    assert all("catalog-changes/1" in row[1] for row in rejected)


def test_after_a_failure_the_message_is_redelivered(
    shop: dict[str, int], deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.clients import reset

    monkeypatch.setenv("DATABASE_URL", "postgresql+pg8000://nobody@127.0.0.1:1/none")
    reset()
    assert deliver({"product_ids": [shop["H2"]], "change": "updated"}).status_code == 500
