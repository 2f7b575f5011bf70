"""The candidates of a user, as the statement reads them."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from shared.clients import postgres
from shared.domain.preferences import HALF_LIFE
from shared.storage.recommending.candidates import ProductReference, read_candidates, read_candidates_of
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_model, add_products


@pytest.fixture(autouse=True)
def shop(env: object) -> None:
    """Forty products, and two users who viewed product 1."""
    add_products(40, ("Candles", "Bags", "Cards", "Toys"))
    add_events([StoredEvent("u1", 1), StoredEvent("u2", 1)])


def collaborative(user: str) -> dict[int, float]:
    """Return the collaborative scores above 0."""
    return {
        candidate.id: round(candidate.cf, 6) for candidate in read_candidates(user, k=20).candidates if candidate.cf > 0
    }


def like(user: str, category: str, score: float, ago: timedelta) -> None:
    """Store a preference as it was so long ago."""
    postgres.write(
        """INSERT INTO user_preferences (user_id, kind, key, score, as_of)
           SELECT id, 'category', :key, :score, :as_of FROM users WHERE external_id = :user""",
        user=user,
        key=category,
        score=score,
        as_of=datetime.now(UTC) - ago,
    )


def test_only_the_neighbours_of_the_active_version_count() -> None:
    first = add_model({1: {2: 0.9, 3: 0.4}})
    second = add_model({1: {3: 0.5, 4: 0.2}})
    # the versions before and after the active one are stored
    third = add_model({1: {5: 0.7}})
    assert collaborative("u1") == {5: 0.7}
    for version, expected in ((second, {3: 0.5, 4: 0.2}), (first, {2: 0.9, 3: 0.4}), (third, {5: 0.7})):
        postgres.write("UPDATE models SET active = false WHERE active")
        postgres.write("UPDATE models SET active = true WHERE version = :version", version=version)
        assert collaborative("u1") == expected
        assert read_candidates("u1", k=20).version == version


def test_reasons_and_similar_products_follow_the_active_version(serve: Serve) -> None:
    add_model({1: {2: 0.9}})
    add_model({1: {2: 0.3}})
    client = serve("recommendations")
    similar = client.get("/similar-products", params={"product_id": 1, "k": 40, "kind": "collaborative"}).json()
    assert [(product["id"], product["score"]) for product in similar["similar_products"]] == [(2, 0.3)]
    # a source of an older version is none
    add_model({1: {3: 0.3}})
    answer = client.get("/recommendations", params={"user_id": "u1", "k": 20, "explain": True}).json()
    kinds = {product["id"]: product["reason"]["kind"] for product in answer["recommendations"]}
    assert (kinds[3], kinds.get(2, "taste")) == ("similar", "taste")


def test_a_taste_decays_until_the_moment_of_the_request() -> None:
    for user, key, score, half_lives in (("u1", "1", 8.0, 3), ("u1", "2", 2.0, 0), ("u2", "1", 8.0, 0)):
        like(user, key, score, half_lives * HALF_LIFE)
    # the favourite of today is not that of six weeks ago
    scores = read_candidates("u1", k=20).taste.scores["category"]
    assert scores == {"1": pytest.approx(1.0, abs=1e-3), "2": pytest.approx(2.0, abs=1e-3)}
    assert read_candidates("u2", k=20).taste.scores["category"] == {"1": pytest.approx(8.0, abs=1e-3)}


BY_PROFILE = {"taste": "profile", "weight_power": 1.0, "rank_decay": 0.5, "profile_events": 50}


def test_the_taste_of_a_profile_is_that_of_its_products() -> None:
    # u1 viewed product 1 now; before that a purchase of product 2, without a brand, and a view of product 3, which is
    # free, and hidden since
    add_events([StoredEvent("u1", 2, "purchase", 2.0), StoredEvent("u1", 3, hours_ago=3.0), StoredEvent("u3", 4)])
    postgres.write("UPDATE products SET brand = NULL, tags = ARRAY['red', 'wool'] WHERE id = 2")
    postgres.write("UPDATE products SET price = 0, is_active = false, category_id = NULL WHERE id = 3")
    like("u1", "4", 9.0, timedelta(0))
    add_model({}, {"serving": BY_PROFILE})
    found = read_candidates("u1", k=20)
    categories = dict(postgres.read("SELECT id, category_id FROM products WHERE id IN (1, 2)"))
    # 1 for the view, 5 · 0.5 for the purchase, 1 · 0.25 for the oldest
    assert found.taste.scores == {
        "category": {str(categories[1]): pytest.approx(1.0), str(categories[2]): pytest.approx(2.5)},
        "brand": {"Brand 1": pytest.approx(1.0), "Brand 0": pytest.approx(0.25)},
        "tag": {
            "tag1": pytest.approx(1.0),
            "red": pytest.approx(2.5),
            "wool": pytest.approx(2.5),
            "tag3": pytest.approx(0.25),
        },
    }
    assert found.taste.price_band is not None
    mean = 2.5 * math.log(2) / 3.5
    assert found.taste.price_band == pytest.approx((mean, math.sqrt(2.5 * math.log(2) ** 2 / 3.5 - mean**2)))
    # each of several users has their own
    others = read_candidates_of(["u2", "u1", "u3"], k=20)
    assert [set(found.taste.scores["brand"]) for found in others] == [{"Brand 1"}, {"Brand 1", "Brand 0"}, {"Brand 1"}]
    assert [len(found.taste.scores["category"]) for found in others] == [1, 2, 1]
    assert others[1].taste == found.taste
    for repeats in ("include", "only"):
        assert read_candidates("u1", k=20, repeats=repeats).taste == found.taste  # type: ignore[arg-type]


def test_the_taste_of_a_guest_is_that_of_the_product_in_view() -> None:
    add_model({}, {"serving": BY_PROFILE})
    guest = read_candidates("nobody", k=20, context=[ProductReference(7, None)]).taste
    assert guest.scores["brand"] == {"Brand 1": 1.0}
    assert guest.price_band == pytest.approx((math.log(7), 0.0))
    stranger = read_candidates("nobody", k=20).taste
    assert (stranger.scores, stranger.price_band) == ({}, None)


@pytest.mark.parametrize("serving", [{}, {"taste": "preferences"}, {"taste": "of a later release"}, {"taste": None}])
def test_the_taste_is_otherwise_that_of_preferences(serving: dict[str, object]) -> None:
    like("u1", "4", 9.0, timedelta(0))
    add_model({}, {"serving": serving})
    found = read_candidates("u1", k=20)
    assert found.taste.scores == {"category": {"4": pytest.approx(9.0, abs=1e-3)}}
    assert found.taste.price_band is None
    assert found.formula.taste == "preferences"


@pytest.mark.parametrize(
    ("window", "expected"),
    [("engagement", 13.0), ("all", 2.0), ("30d", 0.25), ("7d", 0.5), ("of a later release", 0.5)],
)
def test_the_trend_is_that_of_the_window(window: str, expected: float) -> None:
    postgres.write("INSERT INTO product_stats (product_id, views, purchase_count) VALUES (2, 3, 2), (3, 1, 0)")
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT w, p.id, s, 1, category_id
           FROM products p, (VALUES ('7d', 0.5), ('30d', 0.25)) AS t(w, s) WHERE p.id = 2"""
    )
    add_model({1: {2: 0.9, 3: 0.1}}, {"serving": {"trending_window": window}})
    candidates = {candidate.id: candidate for candidate in read_candidates("u1", k=20).candidates}
    assert candidates[2].trending == expected
    assert candidates[3].trending == (1.0 if window == "engagement" else 0.0)


def test_favourite_categories_are_those_of_today() -> None:
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT '30d', id, 1, 1, category_id FROM products"""
    )
    # three fresh favourites, and a fourth that was greater six weeks ago
    for key, score, ago in (("1", 8.0, 3 * HALF_LIFE), ("2", 2.0, timedelta()), ("3", 2.0, timedelta())):
        like("u1", key, score, ago)
    like("u1", "4", 1.5, timedelta())
    # what u1 viewed has no neighbours, by content or otherwise
    postgres.write("DELETE FROM product_content")
    liked = {candidate.category_id for candidate in read_candidates("u1", k=20).candidates if candidate.tier == 0}
    assert liked == {2, 3, 4}


def test_hidden_neighbours_take_no_place() -> None:
    add_model({1: {product: 1 - product / 100 for product in range(2, 31)}}, {"serving": {"blend": 1.0}})
    postgres.write("UPDATE products SET is_active = false WHERE id BETWEEN 2 AND 19")
    candidates = read_candidates("u1", k=20).candidates
    assert not {candidate.id for candidate in candidates} & set(range(2, 20))
    assert len(candidates) == 21


def test_many_users_get_what_each_of_them_gets_alone() -> None:
    add_model({1: {2: 0.9}})
    add_events([StoredEvent("u3", 5)])
    together = read_candidates_of(["u3", "nobody", "u1"], k=20)
    for user, found in zip(("u3", "nobody", "u1"), together, strict=True):
        alone = read_candidates(user, k=20)
        assert found.profile == alone.profile
        assert sorted(found.candidates) == sorted(alone.candidates)
