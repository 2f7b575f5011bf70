"""Rejected events with their reasons."""

import httpx

from functions.admin.schemas.rejected_events import RejectedEventPage


def test_rejected_events_are_paged_with_their_reasons(client: httpx.Client) -> None:
    from shared.storage.events import rejected

    rejected.add("m1", [(0, {"product_id": 7}, "unknown product 7"), (1, {"x": 1}, "no product")])
    page = client.get("/admin/rejected-events", params={"page_size": 1}).json()
    RejectedEventPage.model_validate(page)
    assert page["total"] == 2
    (entry,) = page["entries"]
    assert (entry["message_id"], entry["position"], entry["event"], entry["reason"]) == (
        "m1",
        1,
        {"x": 1},
        "no product",
    )
