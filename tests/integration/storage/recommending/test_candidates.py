"""The candidates of a user, as the statement reads them."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.clients import postgres
from shared.domain.preferences import HALF_LIFE
from shared.storage.recommending.candidates import read_candidates, read_candidates_of
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
