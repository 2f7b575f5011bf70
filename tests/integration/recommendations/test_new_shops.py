"""Recommendations of a shop that has no model yet, or none that knows what the visitor looks at."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.answers import invalidation
from shared.storage.recommending import content
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_model

LAMPS, CHAIRS = ("青い行灯", "赤い行灯", "竹の行灯"), ("كرسي حديقة", "كرسي خشبي")


def add(name: str, days_old: int = 100, quantity: int = 1, group: str | None = None) -> int:
    rows = postgres.write(
        """INSERT INTO products (name, price, quantity, item_group_id, created_at)
           VALUES (:name, 1, :quantity, :group, now() - make_interval(days => :days_old)) RETURNING id""",
        name=name,
        quantity=quantity,
        group=group,
        days_old=days_old,
    )
    return int(rows[0][0])


@pytest.fixture
def shop(client: httpx.Client) -> dict[str, int]:
    """A catalog without events: three lamps and two chairs, then more newer products than an answer shows."""
    ids = {name: add(name) for name in (*LAMPS, *CHAIRS)}
    newer = [add(f"Novelty {number}") for number in range(30)]
    content.refresh_batches([*ids.values(), *newer])
    return ids


def answer(client: httpx.Client, user: str, **query: Any) -> list[dict[str, Any]]:
    response = client.get("/recommendations", params={"user_id": user, "k": 5, "explain": True} | query)
    assert response.status_code == 200, response.text
    return list(response.json()["recommendations"])


def test_one_view_turns_the_list_of_a_shop_without_a_model(
    client: httpx.Client, serve: Serve, shop: dict[str, int]
) -> None:
    before = [product["id"] for product in answer(client, "bystander")]
    viewed, *others = (shop[name] for name in LAMPS)
    assert deliver(serve("update_preferences"), "visitor", event(viewed)).status_code == 200
    first_two = answer(client, "visitor")[:2]
    assert {product["id"] for product in first_two} == set(others)
    assert {product["reason"]["text"] for product in first_two} == {"Because you viewed 青い行灯"}
    assert {product["reason"]["product_id"] for product in first_two} == {viewed}
    assert [product["id"] for product in answer(client, "bystander")] == before


def test_the_product_page_of_a_shop_without_a_model_shows_similar_products_first(
    client: httpx.Client, shop: dict[str, int]
) -> None:
    viewed, other = (shop[name] for name in CHAIRS)
    product = answer(client, "visitor", product_id=viewed)[0]
    assert (product["id"], product["reason"]["text"]) == (other, "Because you viewed كرسي حديقة")


def test_content_stands_in_only_where_the_model_knows_no_product_of_the_profile(
    client: httpx.Client, serve: Serve, shop: dict[str, int]
) -> None:
    blue, red, bamboo = (shop[name] for name in LAMPS)
    garden, wooden = (shop[name] for name in CHAIRS)
    preferences = serve("update_preferences")
    for user, product in (("visitor-1", blue), ("visitor-2", garden)):
        assert deliver(preferences, user, event(product)).status_code == 200
    # the model has learnt that those who view the blue lamp turn to the wooden chair
    add_model({blue: {wooden: 0.9}}, {"serving": {"blend": 1.0}})
    invalidation.flush()
    known = answer(client, "visitor-1")
    assert known[0]["id"] == wooden
    assert not {red, bamboo} & {product["id"] for product in known if product["reason"]["kind"] == "similar"}
    unknown = answer(client, "visitor-2")[0]
    assert (unknown["id"], unknown["reason"]["kind"]) == (wooden, "similar")


def test_what_has_been_bought_or_excluded_does_not_return_by_content(
    client: httpx.Client, serve: Serve, shop: dict[str, int]
) -> None:
    blue, red, bamboo = (shop[name] for name in LAMPS)
    preferences = serve("update_preferences")
    # what was viewed more than half an hour ago may return, and the run of all tests may take longer
    just_now = datetime.now(UTC).isoformat()
    assert deliver(preferences, "visitor", event(blue, timestamp=just_now), event(red, "purchase")).status_code == 200
    ids = [product["id"] for product in answer(client, "visitor")]
    assert ids[0] == bamboo
    assert not {blue, red} & set(ids)
    assert bamboo not in [product["id"] for product in answer(client, "visitor", exclude=bamboo)]


def test_another_size_of_a_product_in_the_cart_is_not_recommended_by_content(
    client: httpx.Client, serve: Serve
) -> None:
    medium, large, other = add("桐の下駄 M", group="geta"), add("桐の下駄 L", group="geta"), add("桐の下駄 塗り")
    content.refresh_batches([medium, large, other])
    # so that the newest products, which fill the answer, are others
    for number in range(25):
        add(f"Novelty {number}")
    assert deliver(serve("update_preferences"), "visitor", event(medium, "add_to_cart")).status_code == 200
    similar = [product["id"] for product in answer(client, "visitor") if product["reason"]["kind"] == "similar"]
    assert similar == [other]


def test_a_product_that_nobody_bought_is_not_called_popular(client: httpx.Client, shop: dict[str, int]) -> None:
    bought, viewed = shop[LAMPS[0]], shop[LAMPS[1]]
    postgres.write(
        "INSERT INTO product_stats (product_id, views, purchase_count) VALUES (:bought, 0, 1), (:viewed, 9, 0)",
        bought=bought,
        viewed=viewed,
    )
    invalidation.flush()
    reasons = {product["id"]: product["reason"]["text"] for product in answer(client, "visitor", k=20)}
    assert reasons.pop(bought) == "Popular in this shop"
    assert set(reasons.values()) == {"New in this shop"}
