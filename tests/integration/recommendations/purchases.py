"""Purchases for the tests of bought together and buy again, and the job that reads them."""

from typing import Any

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events


def store_purchases(*purchases: StoredEvent) -> None:
    """Store purchases as the event functions do."""
    add_events(purchases)
    postgres.write(
        """INSERT INTO user_purchases
           SELECT user_id, product_id, count(*), min(occurred_at), max(occurred_at)
           FROM events WHERE event_type = 'purchase' GROUP BY 1, 2"""
    )


def run_job(serve: Serve, **parameters: Any) -> dict[str, Any]:
    """Run the job bought_together and return its result."""
    answer = serve("bought_together").post("/", json=parameters)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result
