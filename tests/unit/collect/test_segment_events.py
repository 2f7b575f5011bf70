"""Messages of Segment as reports of events."""

from functions.collect import segment_events


def test_a_message_s_own_time_of_sending_comes_before_that_of_its_batch() -> None:
    message = {"type": "track", "event": "Product Viewed", "userId": "u", "properties": {"product_id": "a"}}
    (own,) = segment_events.reports(message | {"sentAt": "2026-03-10T12:00:00Z"}, "2026-03-10T12:05:00Z")
    (of_batch,) = segment_events.reports(message, "2026-03-10T12:05:00Z")
    assert (own["sent_at"], of_batch["sent_at"]) == ("2026-03-10T12:00:00Z", "2026-03-10T12:05:00Z")
