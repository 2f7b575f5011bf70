"""The array formula, which tunes and evaluates models, gives the served answers."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.data.catalog import catalog_of
from jobs.data.history import History, load_history
from jobs.data.similarity_rows import format_rows
from jobs.models.cosine import cosine_neighbours
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from shared.clients import postgres
from shared.domain.formula import REPEATS_POLICIES, SERVING_KEYS, Formula, Repeats
from shared.domain.trending import WINDOWS
from shared.storage.recommending import models, trending
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_products

# serving computes lists of 20 or of 100 products, whichever is enough for k
K = 20
PRODUCTS = 80
FORMULAE = [
    Formula(),
    Formula(profile_events=7, rank_decay=0.8),
    Formula(half_life_days=3.0, weight_power=0.5, blend=1.0),
    Formula(trending_prior=0.3, exclusion_policy="nothing", repeat_weight=0.4),
    Formula(trending_prior=1.0, trending_window="30d", exclusion_policy="seen", affinity_trend=10.0),
    Formula(trending_prior=2.0, trending_window="all", blend=0.2, affinity_trend=0.0),
    Formula(blend=0.0, weight_power=0.0, exclusion_policy="seen"),
    Formula(frequency_power=0.7, exclusion_policy="nothing", repeat_weight=0.1),
    Formula(trending_prior=1.0, prior_evidence=3.0, blend=0.7, repeat_weight=0.2),
    Formula(exclusion_policy="unmet", repeat_weight=0.5, trending_prior=0.5, prior_evidence=0.3),
    Formula(exclusion_policy="unmet", blend=1.0),
    Formula(popularity_discount=1.0, short_profile_fit=0.7, trending_window="30d"),
    Formula(popularity_discount=2.0, blend=1.0, trending_window="all", trending_prior=0.1, prior_evidence=0.3),
    Formula(lasting_discount=0.5, repeat_weight=0.2, trending_prior=0.1),
    Formula(popularity_discount=1.0, lasting_discount=0.3, blend=0.9, trending_window="30d"),
    Formula(taste="profile", blend=0.1, profile_events=9, rank_decay=0.8, half_life_days=9.0, weight_power=0.5),
    Formula(taste="profile", blend=0.3, frequency_power=1.0, trending_window="engagement", affinity_trend=10.0),
    Formula(trending_window="engagement", trending_prior=2.0, blend=0.9),
]

FOLD = """
INSERT INTO user_preferences (user_id, kind, key, score, as_of)
SELECT e.user_id, f.kind, f.key,
       sum(w.weight * power(2::float8, -extract(epoch FROM now() - e.occurred_at)::float8 / 1209600)), now()
FROM events e JOIN products p ON p.id = e.product_id
JOIN (VALUES ('view', 1.0), ('add_to_cart', 3.0), ('purchase', 5.0)) AS w(event_type, weight) USING (event_type),
LATERAL (SELECT 'category' AS kind, p.category_id::text AS key UNION ALL SELECT 'brand', p.brand
         UNION ALL SELECT 'tag', tag FROM unnest(p.tags) AS tag) AS f
GROUP BY 1, 2, 3
"""
PRICES = """
INSERT INTO user_price_bands (user_id, weight, log_sum, square_sum, as_of)
SELECT e.user_id, sum(d), sum(d * ln(p.price::float8)), sum(d * ln(p.price::float8) ^ 2), now()
FROM events e JOIN products p ON p.id = e.product_id
JOIN (VALUES ('view', 1.0), ('add_to_cart', 3.0), ('purchase', 5.0)) AS w(event_type, weight) USING (event_type),
LATERAL (SELECT w.weight * power(2::float8, -extract(epoch FROM now() - e.occurred_at)::float8 / 1209600) AS d) AS x
GROUP BY 1
"""
BOUGHT = """
INSERT INTO user_purchases (user_id, product_id, purchase_count, first_at, last_at)
SELECT user_id, product_id, count(*), min(occurred_at), max(occurred_at)
FROM events WHERE event_type = 'purchase' GROUP BY 1, 2
"""
COUNTED = """
INSERT INTO product_stats (product_id, views, purchase_count)
SELECT product_id, count(*) FILTER (WHERE event_type = 'view'), count(*) FILTER (WHERE event_type = 'purchase')
FROM events GROUP BY 1
ON CONFLICT (product_id) DO UPDATE SET views = EXCLUDED.views, purchase_count = EXCLUDED.purchase_count
"""


def wider(history: History, ids: NDArray[np.int64]) -> History:
    """Return the history in codes for all of these products."""
    codes = np.searchsorted(ids, history.product_ids).astype(np.int32)
    return History(history.user_ids, ids, history.users, codes[history.items], history.weights, history.times)


@pytest.fixture
def shop(env: object) -> None:
    """A shop of 25 users with the state that the event functions would have stored."""
    add_products(PRODUCTS, ("Candles", "Bags", "Cards", "Toys", "Tins"))
    rng = np.random.default_rng(3)
    # a user who knows nearly every product, so that known ones return
    events = [
        StoredEvent("u25", product, "purchase" if product % 3 else "view", 24.0 * product + 100)
        for product in range(1, PRODUCTS - 5)
    ]
    events += [StoredEvent("u25", product, "view", 0.1 + product / 200) for product in range(60, PRODUCTS - 8)]
    for user in range(25):
        for _ in range(int(rng.integers(1, 40))):
            # products of one kind attract each other; nothing happens in the same instant
            product = 1 + (int(rng.integers(0, 15)) * 5 + user % 5 + int(rng.random() < 0.3)) % (PRODUCTS - 5)
            kind = str(rng.choice(["view", "add_to_cart", "purchase"], p=[0.6, 0.25, 0.15]))
            events.append(StoredEvent(f"u{user}", product, kind, float(rng.random() * 24 * 40) + 0.01))
    add_events(events)
    for statement in (FOLD, PRICES, BOUGHT, COUNTED):
        postgres.write(statement)
    with postgres.transaction() as connection:
        for window in WINDOWS:
            trending.replace(connection, window)


@pytest.mark.parametrize("formula", FORMULAE, ids=range(len(FORMULAE)))
def test_the_arrays_give_the_served_answers(shop: None, serve: Serve, formula: Formula) -> None:
    compare(serve, formula)


@pytest.mark.parametrize("repeats", REPEATS_POLICIES)
def test_the_arrays_give_the_served_answers_in_a_shop_with_variants(shop: None, serve: Serve, repeats: Repeats) -> None:
    # two of three products are in groups of four
    postgres.write("UPDATE products SET item_group_id = 'group ' || id / 6 WHERE mod(id, 3) > 0")
    compare(serve, Formula(exclusion_policy=REPEATS_POLICIES[repeats][0], trending_prior=0.1))


def compare(serve: Serve, formula: Formula) -> None:
    """Assert that each user is served the answer that the arrays give."""
    # the shop also has products without events
    ids = np.asarray([row[0] for row in postgres.read("SELECT id FROM products ORDER BY id")])
    history = wider(load_history(90, 1_000_000), ids)
    neighbours = cosine_neighbours(history.user_items(), 8)
    repeats = next(name for name, policies in REPEATS_POLICIES.items() if formula.exclusion_policy in policies)
    models.publish(
        job="test",
        started_at=datetime.now(UTC),
        algorithm="cosine",
        parameters={SERVING_KEYS[repeats]: formula.parameters()},
        metrics={},
        rows=format_rows(ids, neighbours),
    )
    now = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
    users = np.arange(len(history.user_ids))
    snapshot = Snapshot(history, now, users, np.ones(len(ids), np.bool_), catalog_of(ids))
    expected = OfflineRecommender(snapshot, K, compiled=False).recommend(neighbours, formula)

    names = {row[0]: row[1] for row in postgres.read("SELECT id, external_id FROM users")}
    client = serve("recommendations")
    for row, user_id in enumerate(history.user_ids.tolist()):
        answer = client.get("/recommendations", params={"user_id": names[user_id], "k": K, "repeats": repeats})
        assert answer.status_code == 200, answer.text
        served = [product["id"] for product in answer.json()["recommendations"]]
        assert served == ids[expected[row][expected[row] >= 0]].tolist(), names[user_id]
