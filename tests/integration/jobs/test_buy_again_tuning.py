"""The job that chooses a model also tunes what is bought again."""

from typing import Any

import numpy as np

from shared.clients import postgres
from shared.domain.replenishment import REPLENISHMENT_KEY, ReplenishmentFormula
from shared.storage.recommending import models
from tests.integration.conftest import Serve
from tests.integration.recommendations.purchases import store_purchases
from tests.integration.shop import StoredEvent, add_events, add_plain_products, checkerboard_views

DAY = 24.0


def run(serve: Serve) -> dict[str, Any]:
    answer = serve("similarity").post("/", json={"time_budget_s": 0.1})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    assert result["outcome"] == "published"
    return result


def test_a_published_version_serves_buy_again_as_the_shops_users_buy(env: object, serve: Serve) -> None:
    ids = add_plain_products(18)
    chance = np.random.default_rng(2)
    events = []
    for user in range(20):
        for place, product in enumerate(ids[:9] if user % 2 else ids[9:]):
            interval = 14 * 2 ** (place % 3) * DAY
            # the last purchase lies up to an interval back: nobody is late
            last = 0.6 * DAY + float(chance.random()) * interval
            events += [
                StoredEvent(f"u{user}", product, "purchase", last + number * interval)
                for number in range(int(200 * DAY / interval))
            ]
    store_purchases(*events)
    details = run(serve)["buy_again"]
    assert details["ndcg@20"] > details["ndcg@20_of_defaults"]
    model = models.active()
    assert model is not None
    tuned = ReplenishmentFormula.from_parameters(model.parameters)
    assert tuned.timing > ReplenishmentFormula().timing
    assert model.metrics["buy_again"] == details
    answer = serve("recommendations").get("/buy-again?user_id=u3&k=9").json()
    assert len(answer["products"]) == 9
    rows = postgres.read("SELECT model_version FROM recommendation_log WHERE kind = 'buy_again'")
    assert [row[0] for row in rows] == [model.version]


def test_a_shop_without_purchases_publishes_the_defaults(env: object, serve: Serve) -> None:
    add_events(checkerboard_views(add_plain_products(6), 8))
    assert run(serve)["buy_again"]["users"] == 0
    model = models.active()
    assert model is not None
    assert model.parameters[REPLENISHMENT_KEY] == ReplenishmentFormula().parameters()
