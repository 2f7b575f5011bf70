"""Rules for a segment change the answers of its members, and nobody else's."""

from typing import Any

import httpx
import pytest

from functions.admin import rules
from functions.admin.schemas.rules import RuleWrite
from shared.clients import postgres
from shared.domain.category_references import ANY_CATEGORY
from shared.storage.recommending.candidates import read_candidates_of
from shared.storage.recommending.exploration import nearest_new
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_model, add_products

MEMBER, OTHER, OUTSIDER, STRANGER = "member", "member of another", "outsider", "stranger"


@pytest.fixture
def shop(env: dict[str, str], serve: Serve) -> httpx.Client:
    """Users of segments 1 and 2, and one without a segment."""
    add_products(20)
    add_model({1: {2: 0.9, 3: 0.8, 4: 0.7, 5: 0.6}}, {"serving": {"blend": 1.0}})
    for user in (MEMBER, OTHER, OUTSIDER):
        add_events([StoredEvent(user, 11, "purchase", 24 * 40)])
    postgres.write(
        """INSERT INTO user_purchases (user_id, product_id, purchase_count, first_at, last_at)
           SELECT id, 11, 1, now() - interval '40 days', now() - interval '40 days' FROM users"""
    )
    postgres.write(
        """INSERT INTO segments (id, name, size, joined, departed, purchases, revenue, profile)
           SELECT n, 'Segment ' || n, 1, 0, 0, 0, 0, '{}' FROM generate_series(1, 2) AS n"""
    )
    for segment, user in ((1, MEMBER), (2, OTHER)):
        postgres.write(
            "INSERT INTO user_segments (user_id, segment_id) SELECT id, :s FROM users WHERE external_id = :u",
            s=segment,
            u=user,
        )
    return serve("recommendations")


def add(**rule: Any) -> None:
    rules.create_rule("test", RuleWrite.model_validate(rule))


def ids(shop: httpx.Client, user: str, **query: Any) -> list[int]:
    answer = shop.get("/recommendations", params={"user_id": user, "product_id": 1, "k": 4} | query)
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in answer.json()["recommendations"]]


def test_exclude_boost_and_pin_apply_to_members_only(shop: httpx.Client) -> None:
    unchanged = [2, 3, 4, 5]
    assert [ids(shop, user) for user in (MEMBER, OTHER, OUTSIDER, STRANGER)] == [unchanged] * 4
    add(kind="exclude", product_id=2, segment_id=1)
    add(kind="boost", product_id=5, factor=10, segment_id=1)
    add(kind="pin", product_id=15, position=2, segment_id=1)
    assert ids(shop, MEMBER) == [5, 15, 3, 4]
    assert [ids(shop, user) for user in (OTHER, OUTSIDER, STRANGER)] == [unchanged] * 3


def test_a_rule_without_a_segment_applies_to_all_beside_one_with(shop: httpx.Client) -> None:
    add(kind="exclude", product_id=3)
    add(kind="exclude", product_id=2, segment_id=2)
    assert ids(shop, OTHER)[:2] == [4, 5]
    assert [ids(shop, user)[:3] for user in (MEMBER, OUTSIDER, STRANGER)] == [[2, 4, 5]] * 3


def test_exclude_of_the_segment_wins_over_pin(shop: httpx.Client) -> None:
    add(kind="pin", product_id=2)
    add(kind="exclude", product_id=2, segment_id=1)
    assert 2 not in ids(shop, MEMBER)
    assert ids(shop, OTHER)[0] == 2


def test_a_batch_applies_each_users_rules(shop: httpx.Client) -> None:
    add(kind="boost", product_id=5, segment_id=1)
    add(kind="exclude", product_id=20, segment_id=1)
    by_user = dict(zip((MEMBER, OTHER), read_candidates_of([MEMBER, OTHER], k=20), strict=True))
    assert [len(by_user[user].rules) for user in (MEMBER, OTHER)] == [1, 0]
    shown = {user: {candidate.id for candidate in found.candidates} for user, found in by_user.items()}
    assert shown[OTHER] - shown[MEMBER] == {20}


def test_buy_again_leaves_out_what_is_excluded_for_the_segment(shop: httpx.Client) -> None:
    add(kind="exclude", product_id=11, segment_id=1)

    def listed(user: str) -> list[int]:
        return [product["id"] for product in shop.get("/buy-again", params={"user_id": user}).json()["products"]]

    assert (listed(MEMBER), listed(OTHER)) == ([], [11])


def test_answers_for_all_users_apply_no_rule_of_a_segment(shop: httpx.Client) -> None:
    add(kind="exclude", product_id=2, segment_id=1)
    similar = shop.get("/similar-products?product_id=1").json()["similar_products"]
    assert 2 in [product["id"] for product in similar]
    # nor does the previous release, which reads this view
    assert postgres.read("SELECT count(*) FROM active_rules")[0][0] == 0


def test_new_products_that_are_excluded_for_the_segment_are_not_inserted(shop: httpx.Client) -> None:
    def new(user: str) -> list[int]:
        found = nearest_new(user, [(1, 1.0, "view")], 20, days=30, category=ANY_CATEGORY, exclude=[], in_stock=False)
        return [product_id for product_id, _group in found]

    before = new(MEMBER)
    assert len(before) > 1
    add(kind="exclude", product_id=before[0], segment_id=1)
    assert new(MEMBER) == before[1:]
    assert new(OTHER) == new(STRANGER) == before


def shared_kinds(shop: httpx.Client, user: str | None) -> tuple[list[int], list[int]]:
    """Return what /similar-products and /frequently-bought-together list for the product 1."""
    query: dict[str, Any] = {"product_id": 1, "k": 4} | ({} if user is None else {"user_id": user})
    similar = shop.get("/similar-products", params=query | {"kind": "collaborative"}).json()["similar_products"]
    together = shop.get("/frequently-bought-together", params=query).json()["products"]
    return [product["id"] for product in similar], [product["id"] for product in together]


def test_lists_beside_a_product_follow_the_rules_of_the_user_s_segment(shop: httpx.Client) -> None:
    postgres.write(
        """INSERT INTO bought_together (product_id, others, scores, lifts, confidences, counts)
           VALUES (1, ARRAY[2, 3, 4], ARRAY[0.9, 0.8, 0.7], ARRAY[2, 2, 2], ARRAY[0.5, 0.5, 0.5], ARRAY[9, 9, 9])"""
    )
    unchanged = ([2, 3, 4, 5], [2, 3, 4])
    assert [shared_kinds(shop, user) for user in (MEMBER, OTHER, STRANGER, None)] == [unchanged] * 4
    add(kind="exclude", product_id=2, segment_id=1)
    add(kind="exclude", product_id=4)
    assert shared_kinds(shop, MEMBER) == ([3, 5], [3])
    assert [shared_kinds(shop, user) for user in (OTHER, STRANGER)] == [([2, 3, 5], [2, 3])] * 2
    postgres.write("DELETE FROM rules WHERE segment_id = 1")
    assert shared_kinds(shop, MEMBER) == ([2, 3, 5], [2, 3])


def test_a_variant_that_is_excluded_for_the_segment_is_not_shown_in_place_of_a_sold_out_one(shop: httpx.Client) -> None:
    postgres.write("UPDATE products SET item_group_id = 'g' WHERE id IN (2, 12, 13)")
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 2")
    postgres.write("INSERT INTO product_stats (product_id, purchase_count) VALUES (12, 900) ON CONFLICT DO NOTHING")
    add(kind="exclude", product_id=12, segment_id=1)
    assert 13 in shared_kinds(shop, MEMBER)[0]
    assert 12 in shared_kinds(shop, OTHER)[0]
