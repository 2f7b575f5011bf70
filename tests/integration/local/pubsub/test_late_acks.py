"""Under exactly-once delivery an acknowledgement after the deadline finishes nothing; without it, it does."""

import time

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client, data

# once expired, a message waits this long before it is handed out again, so that nothing else can refuse the old ack id
BACK_OFF = {"minimum_backoff": {"seconds": 10}, "maximum_backoff": {"seconds": 10}}


def test_a_late_ack_is_refused_under_exactly_once_and_the_message_comes_again(embedded: Client) -> None:
    """Google's emulator does not keep to exactly-once delivery."""
    topic = embedded.topic()
    strict = embedded.subscription(topic, enable_exactly_once_delivery=True, retry_policy=BACK_OFF)
    bystander = embedded.subscription(topic, "bystander", retry_policy=BACK_OFF)
    embedded.publish(topic, b"late", b"in time")
    # the bystander first: its message would come again before the other one does
    for subscription in (bystander, strict):
        received = embedded.pull_many(subscription, 2)
        late, in_time = sorted(received, key=lambda message: message.message.data != b"late")
        embedded.modify(subscription, [late], 1)
        embedded.modify(subscription, [in_time], 60)
        time.sleep(1.5)
        embedded.acknowledge(subscription, [in_time])
        if subscription == bystander:
            embedded.acknowledge(subscription, [late])
            continue
        with pytest.raises(exceptions.InvalidArgument) as caught:
            embedded.acknowledge(subscription, [late])
        assert caught.value.metadata == {late.ack_id: "PERMANENT_FAILURE_INVALID_ACK_ID"}
    assert data(embedded.pull_many(strict, 1, wait_s=30)) == ["late"]
    assert embedded.pull_nothing(bystander)
