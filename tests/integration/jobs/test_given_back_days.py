"""Days and outcomes of recommendations are counted without purchases that were given back whole."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.operations.daily_stats import MAX_AGE_DAYS, REFUND_DAYS
from shared.storage.recommending import attribution
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_products, now, today_in_utc

BUYER, BYSTANDER = "ann", "bob"


@pytest.fixture
def update(env: dict[str, str], serve: Serve) -> httpx.Client:
    today_in_utc()
    add_products()
    return serve("update_preferences")


@pytest.fixture
def count(env: dict[str, str], serve: Serve) -> Any:
    job = serve("daily_stats")

    def run(**parameters: int) -> None:
        # long enough ago that no day is counted for events that came late
        postgres.write("UPDATE events SET received_at = now() - interval '2 days'")
        answer = job.post("/", json=parameters)
        assert answer.status_code == 200, answer.text

    return run


def buy(update: httpx.Client, user: str, product_id: int, days_ago: float, order_id: str, quantity: int = 1) -> None:
    facts = {"order_id": order_id, "quantity": quantity}
    bought = event(product_id, "purchase", ago=timedelta(days=days_ago), metadata=facts)
    assert deliver(update, user, bought).status_code == 200


def give_back(update: httpx.Client, user: str, order_id: str, product_id: int | None = None, pieces: int = 1) -> None:
    facts: dict[str, Any] = {"order_id": order_id} | ({} if product_id is None else {"quantity": pieces})
    assert deliver(update, user, event(product_id, "refund", metadata=facts)).status_code == 200


def purchases() -> list[tuple[int, int, int]]:
    """Return what the counted days have of purchases, oldest first."""
    rows = postgres.read(
        """SELECT event_count, unique_users, unique_products FROM daily_event_stats
           WHERE event_type = 'purchase' ORDER BY date"""
    )
    return [tuple(row) for row in rows]


def test_a_day_is_counted_again_when_a_purchase_of_it_is_given_back(update: httpx.Client, count: Any) -> None:
    for user in (BUYER, BYSTANDER):
        buy(update, user, 1, 20, "same")
        buy(update, user, 2, 20, "other")
    buy(update, BUYER, 3, 10, "alone")
    count()
    assert purchases() == [(4, 2, 2), (1, 1, 1)]
    give_back(update, BUYER, "same")
    give_back(update, BUYER, "alone")
    count()
    assert purchases() == [(3, 2, 2), (0, 0, 0)]


def test_a_purchase_of_which_pieces_are_kept_stays(update: httpx.Client, count: Any) -> None:
    buy(update, BUYER, 1, 20, "a", quantity=2)
    count()
    give_back(update, BUYER, "a", 1, pieces=1)
    count()
    assert purchases() == [(1, 1, 1)]
    give_back(update, BUYER, "a", 1, pieces=1)
    count()
    assert purchases() == [(0, 0, 0)]


@pytest.mark.parametrize(
    ("bought_ago", "refunded_ago", "expected"),
    [
        (MAX_AGE_DAYS - 1, 0, 0),
        (MAX_AGE_DAYS + 1, 0, 1),
        (20, REFUND_DAYS - 1, 0),
        (20, REFUND_DAYS + 1, 1),
    ],
)
def test_refunds_of_the_last_days_change_days_that_still_have_all_their_events(
    update: httpx.Client, count: Any, bought_ago: int, refunded_ago: int, expected: int
) -> None:
    buy(update, BUYER, 1, bought_ago, "a")
    count()
    give_back(update, BUYER, "a")
    postgres.write("UPDATE refunds SET settled_at = settled_at - make_interval(days => :days)", days=refunded_ago)
    count()
    assert purchases() == [(expected, expected, expected)]


def test_the_dashboard_counts_today_net(update: httpx.Client, env: dict[str, str], serve: Serve) -> None:
    for user in (BUYER, BYSTANDER):
        buy(update, user, 1, 0, "a")
    give_back(update, BUYER, "a")
    headers = {"Authorization": "Bearer an-admin-token-for-tests"}
    days = serve("admin").get("/admin/dashboard", headers=headers).json()["events_by_day"]
    assert [day["event_count"] for day in days if day["event_type"] == "purchase"] == [1]
    assert [day["event_count"] for day in days if day["event_type"] == "refund"] == [1]


def log_answer(user: str, days_ago: float) -> None:
    """Log an answer that showed the products 1 and 2, ten minutes before a purchase as long ago."""
    postgres.write(
        """INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
           VALUES (gen_random_uuid(), :user, 'recommendations', 'trending', ARRAY[1, 2], :at)""",
        user=user,
        at=now() - timedelta(days=days_ago, minutes=10),
    )


def outcome() -> tuple[int, int, float | None]:
    """Return answers, purchases and conversion of the dashboard."""
    (line,) = attribution.summary(30)
    return line["answers"], line["purchases"], line["conversion"]


@pytest.mark.parametrize("days_ago", [0, 12])
def test_a_purchase_that_is_given_back_is_no_outcome(update: httpx.Client, count: Any, days_ago: int) -> None:
    for user in (BUYER, BYSTANDER):
        log_answer(user, days_ago)
        buy(update, user, 1, days_ago, "a")
    # the storefront's own report of a purchase stands for the same purchase
    postgres.write(
        """INSERT INTO recommendation_feedback (recommendation_id, product_id, action)
           SELECT id, 1, 'purchase' FROM recommendation_log"""
    )
    count(days=attribution.LOGGED_DAYS)
    assert outcome() == (2, 2, 1.0)
    give_back(update, BUYER, "a")
    count()
    assert outcome() == (2, 1, 0.5)


def test_a_second_purchase_of_the_product_remains_an_outcome(update: httpx.Client) -> None:
    log_answer(BUYER, 0)
    buy(update, BUYER, 1, 0, "a")
    buy(update, BUYER, 1, 0, "b")
    give_back(update, BUYER, "a")
    assert outcome() == (1, 1, 1.0)
