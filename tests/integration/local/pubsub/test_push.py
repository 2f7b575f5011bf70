"""Push: the envelope, which statuses acknowledge, connections and concurrency."""

import time

import pytest

from tests.integration.local.pubsub.client import Client, Endpoint, data, keyed, wait_until


def test_a_push_carries_googles_envelope(client: Client, endpoint: Endpoint) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    (id_,) = client.publish(topic, {"data": b"\xff\xfe?", "attributes": {"a": "b"}})

    (envelope,) = endpoint.wait_for(1)

    published = envelope["message"]["publishTime"]
    assert envelope == {
        "message": {
            "data": "//4/",
            "attributes": {"a": "b"},
            "messageId": id_,
            "message_id": id_,
            "publishTime": published,
            "publish_time": published,
        },
        "subscription": subscription,
    }
    assert published.endswith("Z")
    assert endpoint.headers[0]["Content-Type"] == "application/json"


def test_a_pushed_message_without_data_or_attributes_still_names_both(client: Client, endpoint: Endpoint) -> None:
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, {"attributes": {"a": "b"}}, {"data": b"x"})
    by_data = {post["message"]["data"]: post["message"]["attributes"] for post in endpoint.wait_for(2)}
    assert by_data == {"": {"a": "b"}, "eA==": {}}


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_acknowledges(client: Client, endpoint: Endpoint, status: int) -> None:
    endpoint.status = status
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, b"x")
    endpoint.wait_for(1)
    time.sleep(1.2)  # the emulator tries again after a second
    assert len(endpoint.posts) == 1


@pytest.mark.parametrize("status", [102, 202])
def test_the_services_other_acknowledging_statuses_do_too(embedded: Client, endpoint: Endpoint, status: int) -> None:
    """The emulator takes 202 for a failure; the service documents 102, 200, 201, 202 and 204 as acknowledgements."""
    endpoint.status = status
    topic = embedded.topic()
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url})
    embedded.publish(topic, b"x")
    endpoint.wait_for(1)
    time.sleep(0.4)
    assert len(endpoint.posts) == 1


@pytest.mark.parametrize("status", [301, 404, 500])
def test_anything_else_is_pushed_again(client: Client, endpoint: Endpoint, status: int) -> None:
    endpoint.answer = lambda _: status if len(endpoint.posts) == 1 else 200
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, b"x")
    first, second = endpoint.wait_for(2)
    assert first["message"]["messageId"] == second["message"]["messageId"]


def test_turning_push_on_delivers_what_waited_and_turning_it_off_lets_it_be_pulled(
    client: Client, endpoint: Endpoint
) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"x")
    client.subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})
    endpoint.wait_for(1)
    client.subscriber.modify_push_config(subscription=subscription, push_config={})
    time.sleep(0.2)
    client.publish(topic, b"y")
    assert data(client.pull(subscription)) == ["y"]


def test_a_push_tells_ordering_key_and_delivery_attempt(embedded: Client, endpoint: Endpoint) -> None:
    """The emulator's envelope lacks both; the service's has them."""
    topic = embedded.topic()
    policy = {"dead_letter_topic": embedded.topic("dead")}
    endpoint.status = 500
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url}, dead_letter_policy=policy)
    embedded.publish(topic, *keyed("x"))
    posts = endpoint.wait_for(2)
    assert [post["deliveryAttempt"] for post in posts[:2]] == [1, 2]
    assert posts[0]["message"]["orderingKey"] == "shopper"


def test_a_push_keeps_its_connections(embedded: Client, endpoint: Endpoint) -> None:
    """How prompt it is is measured: ./aisle bench freshness."""
    topic = embedded.topic()
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url})
    for n in range(20):
        embedded.publish(topic, b"x")
        endpoint.wait_for(n + 1)
    assert len(endpoint.connections) <= 2


def test_an_endpoint_that_is_down_loses_nothing_and_is_not_stormed(embedded: Client) -> None:
    """The emulator counts attempts nobody saw: five seconds down, and everything is in the dead-letter topic."""
    topic, dead = embedded.topic(), embedded.topic("dead")
    graveyard = embedded.subscription(dead, "graveyard")
    with Endpoint() as gone:
        url = gone.url
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    embedded.subscription(topic, push_config={"push_endpoint": url}, dead_letter_policy=policy)
    embedded.publish(topic, *[str(n).encode() for n in range(20)])
    time.sleep(1.0)
    assert embedded.pull_nothing(graveyard)
    with Endpoint() as back:
        embedded.subscriber.modify_push_config(
            subscription=f"projects/{embedded.project}/subscriptions/worker", push_config={"push_endpoint": back.url}
        )
        wait_until(lambda: len({p["message"]["messageId"] for p in back.posts}) == 20, awaited="all 20 messages")
        assert {post["deliveryAttempt"] for post in back.posts} == {1}


def test_a_slow_endpoint_is_served_concurrently_within_bounds(embedded: Client, endpoint: Endpoint) -> None:
    """The emulator has no window to speak of."""
    endpoint.delay_s = 0.05
    topic = embedded.topic()
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url})
    embedded.publish(topic, *[b"x"] * 200)
    endpoint.wait_for(200)
    assert 8 <= len(endpoint.connections) <= 64
