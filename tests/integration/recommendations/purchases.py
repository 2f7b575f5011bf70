"""Purchases for the tests of bought together and buy again, and the job that reads them."""

from collections.abc import Callable
from typing import Any

import httpx

from shared.clients import postgres
from tests.integration.jobs.shop import Did, events

Serve = Callable[[str], httpx.Client]


def store_purchases(*purchases: Did) -> None:
    """Store purchases as the event functions do."""
    events(purchases)
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
