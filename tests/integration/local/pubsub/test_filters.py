"""Filters of subscriptions."""

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client, data


def test_a_filter_lets_only_matching_messages_through(embedded: Client) -> None:
    """The emulator accepts filters but delivers everything."""
    topic = embedded.topic()
    subscription = embedded.subscription(topic, filter='attributes.has_purchase = "true"')
    embedded.publish(topic, b"plain", {"data": b"bought", "attributes": {"has_purchase": "true"}})
    assert data(embedded.pull(subscription)) == ["bought"]
    assert embedded.pull_nothing(subscription)


@pytest.mark.parametrize("text", ["attributes:a AND attributes:b OR attributes:c", "nonsense", 'attributes.a = "'])
def test_a_bad_filter_is_refused(embedded: Client, text: str) -> None:
    """The emulator accepts any text."""
    topic = embedded.topic()
    with pytest.raises(exceptions.InvalidArgument, match="filter"):
        embedded.subscription(topic, filter=text)
