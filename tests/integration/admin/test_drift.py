"""Drift of the shop since its model was chosen, as operators see it."""

import logging

import httpx
import pytest

from jobs.similarity import Similarity, similarity
from tests.integration.shop import StoredEvent, add_events, add_plain_products, add_two_kinds_of_users


def test_drift_is_logged_and_shown(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    add_two_kinds_of_users()
    first = similarity.run(Similarity(time_budget_s=0))
    ids = add_plain_products(20)
    # everybody turns to new products
    add_events(StoredEvent(f"u{n % 80}", ids[n % 20], "purchase", 0.5 - n / 1_000) for n in range(300))
    with caplog.at_level(logging.WARNING):
        second = similarity.run(Similarity(time_budget_s=0))
    assert second["drift"]["drifted"] is True
    assert second["drift"]["since_version"] == first["version"]
    assert (second["drift"]["new_events"], second["drift"]["unknown_products_share"]) == (300, 1.0)
    (record,) = [record for record in caplog.records if record.message == "model drift"]
    assert record.levelname == "WARNING"
    assert record.__dict__["drift"] == second["drift"]
    listed = client.get("/admin/models").json()["models"]
    assert [model["metrics"]["drift"] for model in listed] == [second["drift"], None]
    runs = client.get("/admin/training-runs", params={"job": "similarity"}).json()["runs"]
    assert runs[0]["details"]["drift"] == second["drift"]
