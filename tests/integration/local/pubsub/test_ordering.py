"""Ordering keys: pulled, streamed and pushed in order."""

from typing import Any

from tests.integration.local.pubsub.client import Client, Endpoint, data, keyed, wait_until


def test_messages_of_a_key_are_pulled_in_order(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    for n in range(5):
        client.publish(topic, *keyed(f"{n}a", f"{n}b", key="a"), *keyed(f"{n}c", key="c"))
    received: list[Any] = []
    while len(received) < 15:
        batch = client.pull(subscription, 4)
        client.acknowledge(subscription, batch)
        received += batch
    by_key = {key: [r for r in received if r.message.ordering_key == key] for key in "ac"}
    assert data(by_key["a"]) == [f"{n}{half}" for n in range(5) for half in "ab"]
    assert data(by_key["c"]) == [f"{n}c" for n in range(5)]


def test_a_key_waits_for_what_is_out(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    client.publish(topic, *keyed("a"))
    out = client.pull(subscription)
    client.publish(topic, *keyed("b"), *keyed("free", key="other"))
    assert data(client.pull(subscription)) == ["free"]
    client.acknowledge(subscription, out)
    assert data(client.pull(subscription)) == ["b"]


def test_nacking_all_of_a_key_brings_all_back_in_order(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    client.publish(topic, *keyed("a", "b", "c"))
    received = client.pull_many(subscription, 3)
    client.nack(subscription, received)
    assert data(client.pull_many(subscription, 3)) == ["a", "b", "c"]


def test_a_nack_brings_back_the_message_and_all_later_ones_of_its_key(embedded: Client) -> None:
    """The emulator waits until the later ones are acknowledged, then brings back only the nacked one."""
    topic = embedded.topic()
    subscription = embedded.subscription(topic, enable_message_ordering=True)
    embedded.publish(topic, *keyed("a", "b", "c", "d"))
    received = embedded.pull_many(subscription, 4)
    embedded.nack(subscription, received[1:2])
    embedded.acknowledge(subscription, received[2:])  # their leases ended with the nack
    assert embedded.pull_nothing(subscription)  # "a" is still out
    embedded.acknowledge(subscription, received[:1])
    assert data(embedded.pull_many(subscription, 3)) == ["b", "c", "d"]


def test_a_key_is_streamed_in_order(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    with client.stream(subscription) as stream:
        for n in range(10):
            client.publish(topic, *keyed(str(n)))
        acked = 0
        while acked < 10:
            received = stream.wait_for(acked + 1)
            stream.send(ack_ids=[r.ack_id for r in received[acked:]])
            acked = len(received)
        assert data(stream.received) == [str(n) for n in range(10)]


def test_a_key_is_pushed_in_order_even_through_failures(client: Client, endpoint: Endpoint) -> None:
    accepted: list[str] = []
    fail_once = {"Mg=="}

    def answer(envelope: dict[str, Any]) -> int:
        content = envelope["message"]["data"]
        if content in fail_once:
            fail_once.remove(content)
            return 500
        accepted.append(content)
        return 200

    endpoint.answer = answer
    topic = client.topic()
    client.subscription(topic, enable_message_ordering=True, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, *keyed("1", "2", "3", "4"))
    wait_until(lambda: len(accepted) == 4, awaited="four accepted pushes")
    assert accepted == ["MQ==", "Mg==", "Mw==", "NA=="]
