"""Buy again, from purchases to the answers."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.domain.replenishment import REPLENISHMENT_KEY, ReplenishmentFormula
from tests.integration.conftest import Serve
from tests.integration.recommendations.purchases import run_job, store_purchases
from tests.integration.shop import StoredEvent, add_model

DAY = 24.0
# formulae in which time, or nothing but the number of purchases, decides
TIMED = ReplenishmentFormula(None, repeat_evidence=0.0, trend_power=0.0, timing=3.0)
COUNTED = ReplenishmentFormula(None, repeat_evidence=0.0, trend_power=0.0, timing=0.0)


def buy_again(client: httpx.Client, user: str, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/buy-again", params={"user_id": user} | query)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"user_id", "products", "recommendation_id", "generated_at"}
    products: list[dict[str, Any]] = answer.json()["products"]
    return products


def serve_with(formula: ReplenishmentFormula) -> int:
    """Publish a model version with this formula; return its number."""
    return add_model({}, {REPLENISHMENT_KEY: formula.parameters()})


def purchases_at_interval(days: float, user: str, product: int, times: int, *, last: float) -> list[StoredEvent]:
    """Return purchases of a product every ``days`` days, the latest ``last`` days ago."""
    return [StoredEvent(user, product, "purchase", DAY * (last + n * days)) for n in range(times)]


def test_the_users_own_interval_decides_which_products_are_due(client: httpx.Client, serve: Serve) -> None:
    store_purchases(*purchases_at_interval(10, "u", 1, 4, last=12), *purchases_at_interval(60, "u", 2, 4, last=12))
    run_job(serve)
    serve_with(TIMED)
    first, second = buy_again(client, "u")
    assert (first["id"], first["due"], first["purchase_count"]) == (1, True, 4)
    assert (second["id"], second["due"]) == (2, False)
    last, due = (datetime.fromisoformat(first[name]) for name in ("last_purchased_at", "due_at"))
    assert (due - last).days == 10
    assert first["score"] > second["score"]


def test_after_one_purchase_the_interval_is_the_products_or_the_shops(client: httpx.Client, serve: Serve) -> None:
    purchases = [purchase for n in range(5) for purchase in purchases_at_interval(20, f"o{n}", 1, 3, last=40)]
    store_purchases(*purchases, StoredEvent("u", 1, "purchase", 30 * DAY), StoredEvent("u", 2, "purchase", 30 * DAY))
    run_job(serve)
    by_id = {product["id"]: product for product in buy_again(client, "u")}
    assert by_id[1]["due"]
    # product 2 was bought only once: it has the shop's interval, and a lower share of buyers who bought it again
    assert by_id[2]["due"]
    assert by_id[1]["score"] == 1.0 > by_id[2]["score"]
    (row,) = postgres.read("SELECT median_days, gaps, repeat_share FROM product_intervals WHERE product_id = 1")
    assert (row[0], row[1]) == (20, 10)
    assert row[2] == pytest.approx((5 + 5 * 5 / 7) / (6 + 5))


def test_a_product_has_an_interval_of_its_own_from_five_gaps_on(client: httpx.Client, serve: Serve) -> None:
    store_purchases(
        *(
            purchase
            for product, buyers, days in ((1, 5, 20), (2, 4, 40))
            for buyer in range(buyers)
            for purchase in purchases_at_interval(days, f"{product}-{buyer}", product, 2, last=40)
        )
    )

    def intervals(**parameters: int) -> dict[int, float | None]:
        run_job(serve, **parameters)
        rows = postgres.read("SELECT product_id, median_days FROM product_intervals WHERE product_id > 0")
        return {row[0]: row[1] for row in rows}

    assert intervals() == {1: 20, 2: None}
    assert intervals(min_gaps=4) == {1: 20, 2: 40}
    assert intervals(min_gaps=6) == {1: None, 2: None}


def test_what_is_bought_once_in_a_lifetime_is_never_due(client: httpx.Client, serve: Serve) -> None:
    # product 1 is bought every 20 days by a tenth of the shop's buyers, product 2 by nobody twice
    again = [purchase for n in range(6) for purchase in purchases_at_interval(20, f"a{n}", 1, 3, last=40)]
    once = [StoredEvent(f"o{n}", 2, "purchase", (n + 1) * DAY) for n in range(54)]
    own = purchases_at_interval(20, "v", 2, 3, last=40)
    store_purchases(*again, *once, *own, *(StoredEvent("u", product, "purchase", 90 * DAY) for product in (1, 2)))
    run_job(serve)
    (row,) = postgres.read("SELECT repeat_share FROM product_intervals WHERE product_id = 2")
    assert row[0] < 0.1
    by_id = {product["id"]: product for product in buy_again(client, "u")}
    assert (by_id[1]["due"], by_id[2]["due"]) == (True, False)
    # both intervals have passed, and both are offered
    assert all(datetime.fromisoformat(product["due_at"]) < datetime.now(UTC) for product in by_id.values())
    # a user who buys it again is due for it
    assert [(product["id"], product["due"]) for product in buy_again(client, "v")] == [(2, True)]


def test_before_the_first_run_of_the_job_the_interval_is_30_days(client: httpx.Client) -> None:
    store_purchases(StoredEvent("u", 1, "purchase", 10 * DAY), StoredEvent("u", 2, "purchase", 40 * DAY))
    assert {product["id"]: product["due"] for product in buy_again(client, "u")} == {1: False, 2: True}
    serve_with(TIMED)
    # 10 days are further from 30, as a ratio, than 40 are
    assert [product["id"] for product in buy_again(client, "u")] == [2, 1]


def test_the_active_versions_formula_decides_for_all_users(client: httpx.Client, serve: Serve) -> None:
    for user in ("u", "v"):
        # product 1 often and long ago, product 2 once and lately
        store_purchases_of(user)
    run_job(serve)
    for formula, order in ((COUNTED, [1, 2]), (COUNTED.with_(half_life_days=15.0), [2, 1])):
        serve_with(formula)
        assert [[product["id"] for product in buy_again(client, user)] for user in ("u", "v")] == [order, order]


def store_purchases_of(user: str) -> None:
    postgres.write("DELETE FROM user_purchases")
    store_purchases(*purchases_at_interval(30, user, 1, 4, last=100), StoredEvent(user, 2, "purchase", 5 * DAY))


def test_what_others_buy_now_comes_first(client: httpx.Client) -> None:
    store_purchases(StoredEvent("u", 1, "purchase", 30 * DAY), StoredEvent("u", 2, "purchase", 30 * DAY))
    assert [product["id"] for product in buy_again(client, "u")] == [1, 2]
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count)
           VALUES ('30d', 2, 5, 1), ('7d', 1, 9, 1)"""
    )
    assert [product["id"] for product in buy_again(client, "u")] == [2, 1]
    serve_with(ReplenishmentFormula(trending_window="7d"))
    assert [product["id"] for product in buy_again(client, "u")] == [1, 2]


def test_what_was_bought_within_half_a_day_comes_last(client: httpx.Client) -> None:
    store_purchases(
        *purchases_at_interval(7, "u", 1, 9, last=11.9 / DAY),
        StoredEvent("u", 2, "purchase", 12.1),
        StoredEvent("u", 3, "purchase", 300 * DAY),
    )
    assert [product["id"] for product in buy_again(client, "u")] == [2, 3, 1]


def test_a_purchase_whose_event_was_dropped_counts_by_its_time(client: httpx.Client) -> None:
    store_purchases(*(StoredEvent("u", product, "purchase", product * 30 * DAY) for product in (1, 2, 3)))
    before = [(product["id"], product["score"]) for product in buy_again(client, "u")]
    assert [product_id for product_id, _ in before] == [1, 2, 3]
    postgres.write("DELETE FROM events WHERE product_id = 2")
    assert [(product["id"], product["score"]) for product in buy_again(client, "u")] == [
        (product_id, pytest.approx(score, rel=1e-3)) for product_id, score in before
    ]


def test_inactive_products_are_never_listed_and_sold_out_ones_last_or_not_at_all(client: httpx.Client) -> None:
    store_purchases(
        *(StoredEvent("u", product, "purchase", 30 * DAY) for product in (1, 2, 3)), StoredEvent("u", 4, "view")
    )
    postgres.write("UPDATE products SET is_active = false WHERE id = 1")
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 2")
    assert [product["id"] for product in buy_again(client, "u")] == [3, 2]
    assert [product["id"] for product in buy_again(client, "u", in_stock=True)] == [3]
    assert [product["id"] for product in buy_again(client, "u", k=1)] == [3]
    assert buy_again(client, "nobody") == []


@pytest.mark.parametrize("query", ["user_id=", "user_id=u&k=0", "user_id=u&nope=1", "user_id=%00"])
def test_a_bad_query_is_a_problem(client: httpx.Client, query: str) -> None:
    assert client.get(f"/buy-again?{query}").status_code == 422
