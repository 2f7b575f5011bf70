"""Push delivery: each message is a POST request, and a window limits how many run at once.

The window starts small, grows with each acknowledgement and halves with each failure. After a failure nothing is sent
for a pause that doubles with each further failure, so an endpoint that is down receives a request every few seconds;
the first success ends the pauses. A request that could not be sent is no delivery attempt: restarting an endpoint must
not move its messages to the dead-letter topic.
"""

import asyncio
import base64
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from local.pubsub.http import Endpoint, NotSent, Outcome
from local.pubsub.message import Delivery

if TYPE_CHECKING:
    from local.pubsub.subscription import Subscription

ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
FIRST_WINDOW, MAX_WINDOW = 8.0, 64.0
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 5.0
DRAIN_S = 2.0
"""How long a stopping server waits for the answers to pushes under way."""


class Pusher:
    """Consumer of one push subscription."""

    def __init__(self, subscription: "Subscription", config: Any) -> None:
        self.config = type(config)()
        self.config.CopyFrom(config)
        self._subscription = subscription
        self._endpoint = Endpoint(config.push_endpoint)
        self._loop = asyncio.get_running_loop()
        self._window = FIRST_WINDOW
        self._in_flight = 0
        self._failures = 0
        self._paused_until = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = False
        self._encode = self._unwrapped if config.HasField("no_wrapper") else self._wrapped
        subscription.subscribe(self)

    def feed(self) -> bool:
        room = int(self._window) - self._in_flight
        if self._stopped or room <= 0 or not self._subscription.alive or self._loop.time() < self._paused_until:
            return False
        if self._failures:
            room = min(room, 1 - self._in_flight)  # a single request tests whether the endpoint is back
            if room <= 0:
                return False
        timeout_s = float(self._subscription.pb.ack_deadline_seconds)
        # the lease outlives the request; a key's messages are sent one at a time, as requests can overtake
        deliveries = self._subscription.take(room, lease_s=timeout_s + 30, run=1)
        for delivery in deliveries:
            headers, body = self._encode(delivery)
            self._in_flight += 1
            self._idle.clear()
            self._endpoint.post(headers, body, timeout_s, partial(self._settle, delivery.lease))
        return bool(deliveries)

    def stop(self) -> None:
        """Send nothing more. Pushes under way still count."""
        self._stopped = True
        self._subscription.unsubscribe(self)
        if self._in_flight == 0:
            self._endpoint.close()

    async def drained(self) -> None:
        """Wait up to DRAIN_S for the answers under way, then close the connections."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._idle.wait()
        except TimeoutError:
            pass
        self._endpoint.close()

    def _settle(self, lease: int, outcome: Outcome) -> None:
        self._in_flight -= 1
        if self._in_flight == 0:
            self._idle.set()
            if self._stopped:
                self._loop.call_soon(self._endpoint.close)
        if outcome in ACKNOWLEDGING:
            self._window = min(MAX_WINDOW, self._window + 1)
            self._failures = 0
            self._paused_until = 0.0
            self._subscription.acknowledge_lease(lease)
            self._subscription.pump_soon()
            return
        self._window = max(1.0, self._window / 2)
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        if self._loop.time() >= self._paused_until:  # requests that fail together lengthen the pause once
            self._failures += 1
            scaled_s = self._subscription.scaled(pause_s)
            self._paused_until = self._loop.time() + scaled_s
            self._loop.call_later(scaled_s, self._subscription.pump_soon)
        self._subscription.nack(lease, delay_s=pause_s, counts=not isinstance(outcome, NotSent))

    def _wrapped(self, delivery: Delivery) -> tuple[str, bytes]:
        """Return the JSON envelope of Google's emulator, with the service's fields for ordering and dead letters."""
        pb = delivery.message.pb
        published = delivery.message.publish_time
        message = {
            "data": base64.b64encode(pb.data).decode(),
            "attributes": dict(pb.attributes),
            "messageId": pb.message_id,
            "message_id": pb.message_id,
            "publishTime": published,
            "publish_time": published,
        }
        if pb.ordering_key:
            message["orderingKey"] = pb.ordering_key
        envelope: dict[str, object] = {"message": message, "subscription": self._subscription.name}
        if self._subscription.pb.HasField("dead_letter_policy"):
            envelope["deliveryAttempt"] = delivery.attempts + 1
        return "Content-Type: application/json\r\n", orjson.dumps(envelope)

    def _unwrapped(self, delivery: Delivery) -> tuple[str, bytes]:
        """Return the message's data as the body, with its metadata as headers if the subscription asks for them."""
        pb = delivery.message.pb
        headers = {}
        if self.config.no_wrapper.write_metadata:
            headers = dict(pb.attributes)
            headers["x-goog-pubsub-message-id"] = pb.message_id
            headers["x-goog-pubsub-publish-time"] = delivery.message.publish_time
            headers["x-goog-pubsub-subscription-name"] = self._subscription.name
        printable: Callable[[str], bool] = str.isprintable
        lines = (f"{k}: {v}\r\n" for k, v in headers.items() if printable(k) and printable(v) and ":" not in k)
        return "".join(lines), bytes(pb.data)
