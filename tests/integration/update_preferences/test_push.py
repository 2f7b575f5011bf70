"""Event functions accept both the body that Pub/Sub pushes and the CloudEvent that Eventarc creates from it."""

import base64

import pytest

from shared.clients import postgres
from shared.messages import user_events
from tests.integration.conftest import Serve

EVENT = {
    "event_id": "0192f0c8-0000-7000-8000-000000000001",
    "product_id": 1,
    "event_type": "purchase",
    "timestamp": "2026-11-21T10:00:00+00:00",
}


def push() -> dict:
    """Return the body of Pub/Sub's push request, which has both spellings of its fields."""
    data, attributes = user_events("ada", [EVENT])
    return {
        "deliveryAttempt": 1,
        "message": {
            "attributes": attributes,
            "data": base64.b64encode(data).decode(),
            "messageId": "1234567890",
            "message_id": "1234567890",
            "publishTime": "2026-11-21T10:00:00.123Z",
            "publish_time": "2026-11-21T10:00:00.123Z",
        },
        "subscription": "projects/shop-test-123/subscriptions/update_preferences",
    }


EVENTARC = {
    "ce-id": "1234567890",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce-source": "//pubsub.googleapis.com/projects/shop-test-123/topics/user-events",
}


@pytest.fixture
def product(env: dict[str, str]) -> None:
    postgres.write("INSERT INTO products (id, name, price) VALUES (1, 'Lamp', 9.99)")


def stored() -> int:
    return int(postgres.read("SELECT count(*) FROM events")[0][0])


def test_a_pushed_message_is_applied(product: None, serve: Serve) -> None:
    # the platform would call a function that is deployed for HTTP so; what the code declares counts
    assert serve("update_preferences").post("/", json=push()).status_code == 200
    assert stored() == 1


def test_a_message_that_comes_in_both_forms_counts_once(product: None, serve: Serve) -> None:
    client = serve("update_preferences")
    assert client.post("/", json=push()).status_code == 200
    assert client.post("/", json=push(), headers=EVENTARC).status_code == 200
    assert stored() == 1


def test_purchases_are_counted_from_a_push(product: None, serve: Serve) -> None:
    assert serve("update_popularity").post("/", json=push()).status_code == 200
    assert postgres.read("SELECT purchase_count FROM product_stats WHERE product_id = 1")[0][0] == 1


def test_a_body_without_a_message_is_not_acknowledged(env: dict[str, str], serve: Serve) -> None:
    assert serve("update_preferences").post("/", json={"hello": "world"}).status_code == 400
