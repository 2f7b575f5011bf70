"""The arrays, which tune and evaluate what is bought again, give the served answers."""

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import load_history
from jobs.offline.buy_again import BuyAgainRecommender
from jobs.offline.snapshot import Snapshot
from shared.clients import postgres
from shared.domain.replenishment import REPLENISHMENT_KEY, ReplenishmentFormula
from shared.domain.trending import WINDOWS
from shared.storage.recommending import trending
from tests.integration.conftest import Serve
from tests.integration.recommendations.purchases import run_job, store_purchases
from tests.integration.shop import StoredEvent, add_model, add_products

K = 20
PRODUCTS, USERS = 40, 12
FORMULAE = [
    ReplenishmentFormula(),
    ReplenishmentFormula(half_life_days=None, repeat_evidence=0.0, trend_power=0.0, timing=0.0),
    ReplenishmentFormula(half_life_days=15.0, repeat_evidence=3.0, trend_power=1.0, trending_window="7d"),
    ReplenishmentFormula(half_life_days=60.0, repeat_evidence=0.3, timing=3.0),
    ReplenishmentFormula(half_life_days=0.5, timing=1.0, trend_power=0.0),
]


@pytest.fixture
def shop(env: object, serve: Serve) -> None:
    """A shop whose users buy some products again, more or less regularly, some of them a moment ago."""
    add_products(PRODUCTS, ("Candles", "Bags"))
    chance = np.random.default_rng(5)
    events = []
    for user in range(USERS):
        for product in chance.choice(PRODUCTS, int(chance.integers(1, PRODUCTS)), replace=False).tolist():
            interval, age = 24 * float(chance.integers(2, 40)), float(chance.random()) * 24 * 50 * (product % 4 > 0)
            for number in range(int(chance.integers(1, 7))):
                hours = 0.2 + age + number * interval * float(chance.uniform(0.8, 1.2))
                events.append(StoredEvent(f"u{user}", product + 1, "purchase", hours))
            events.append(StoredEvent(f"u{user}", product + 1, "view", 0.1 + float(chance.random())))
    store_purchases(*events)
    run_job(serve)
    with postgres.transaction() as connection:
        for window in WINDOWS:
            trending.replace(connection, window)


@pytest.mark.parametrize("formula", FORMULAE, ids=range(len(FORMULAE)))
def test_the_arrays_give_the_served_answers(shop: None, serve: Serve, formula: ReplenishmentFormula) -> None:
    add_model({}, {REPLENISHMENT_KEY: formula.parameters()})
    history = load_history(3_650, 1_000_000)
    # trends count whole hours: both sides count from the same moment
    ((computed_at,),) = postgres.read("SELECT max(computed_at) FROM trending_scores")
    now = np.datetime64(computed_at.replace(tzinfo=None), "us")
    n_products = len(history.product_ids)
    users = np.arange(len(history.user_ids))
    snapshot = Snapshot(history, now, users, np.ones(n_products, np.bool_), Catalog.unknown(n_products))
    expected = BuyAgainRecommender(snapshot).recommend(formula, K)
    names = {row[0]: row[1] for row in postgres.read("SELECT id, external_id FROM users")}
    client = serve("recommendations")
    for row, user_id in enumerate(history.user_ids.tolist()):
        answer = client.get("/buy-again", params={"user_id": names[user_id], "k": K})
        assert answer.status_code == 200, answer.text
        served = [product["id"] for product in answer.json()["products"]]
        assert served == history.product_ids[expected[row][expected[row] >= 0]].tolist(), names[user_id]


def test_the_formulae_give_different_answers(shop: None, serve: Serve) -> None:
    client = serve("recommendations")
    answers = set()
    for formula in FORMULAE:
        add_model({}, {REPLENISHMENT_KEY: formula.parameters()})
        products = client.get("/buy-again", params={"user_id": "u1", "k": K}).json()["products"]
        answers.add(tuple(product["id"] for product in products))
    assert len(answers) == len(FORMULAE)
