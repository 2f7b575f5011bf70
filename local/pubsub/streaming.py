"""StreamingPull: the server sends messages as flow control allows, the client sends acks and lease changes."""

import asyncio
from typing import Any

import grpc

from local.pubsub import wire
from local.pubsub.broker import Broker
from local.pubsub.errors import FailedPrecondition, InvalidAckIds, InvalidArgument, NotFound, Refused
from local.pubsub.message import Delivery
from local.pubsub.rpc import abort
from local.pubsub.subscription import MAX_RESPONSE_BYTES, Subscription

MIN_STREAM_DEADLINE_S, MAX_STREAM_DEADLINE_S = 10, 600
MAX_BATCH = 200
"""Messages in one response: large enough to be cheap, small enough to share a backlog among streams."""

_Response = wire.StreamingPullResponse


class Stream:
    """An open stream. It takes messages while its client has room for them, one response at a time."""

    def __init__(self, subscription: Subscription, first: Any) -> None:
        self.changed = asyncio.Event()
        self.error: Refused | None = None
        self.closed = False
        self._subscription = subscription
        self._max_messages = first.max_outstanding_messages if first.max_outstanding_messages > 0 else None
        self._max_bytes = first.max_outstanding_bytes if first.max_outstanding_bytes > 0 else None
        self._lease_s = float(first.stream_ack_deadline_seconds)
        self._outstanding = 0
        self._outstanding_bytes = 0
        self._batch: list[Delivery] = []
        self._confirmation: Any = None

    def feed(self) -> bool:
        subscription = self._subscription
        if not subscription.alive:
            self.fail(NotFound(f"Subscription does not exist (resource={subscription.name.rpartition('/')[2]})"))
            return False
        if self._batch or self.closed or self.error or subscription.pb.push_config.push_endpoint:
            return False
        room, size = MAX_BATCH, MAX_RESPONSE_BYTES
        if self._max_messages is not None:
            room = min(room, self._max_messages - self._outstanding)
        if self._max_bytes is not None:
            size = min(size, self._max_bytes - self._outstanding_bytes)
        if room <= 0 or size <= 0:
            return False
        self._batch = subscription.take(room, self, lease_s=self._lease_s, max_bytes=size)
        for delivery in self._batch:
            self._outstanding += 1
            self._outstanding_bytes += delivery.message.size
        if self._batch:
            self.changed.set()
        return bool(self._batch)

    def release(self, delivery: Delivery) -> None:
        """Free the room of a message that is no longer leased to this stream."""
        self._outstanding -= 1
        self._outstanding_bytes -= delivery.message.size
        if not self.closed:
            self._subscription.pump_soon()

    def receive(self, request: Any) -> None:
        """Apply a request of the client. Raises Refused."""
        if request.stream_ack_deadline_seconds:
            self._lease_s = _stream_deadline(request)
        acked: dict[str, str] = {}
        modified: dict[str, str] = {}
        if request.ack_ids:
            try:
                self._subscription.acknowledge(request.ack_ids)
            except InvalidAckIds as invalid:
                acked = dict(invalid.reasons)
        if request.modify_deadline_ack_ids:
            deadlines = request.modify_deadline_seconds
            if len(deadlines) != len(request.modify_deadline_ack_ids):
                raise InvalidArgument("modify_deadline_seconds and modify_deadline_ack_ids differ in length")
            if any(not 0 <= seconds <= MAX_STREAM_DEADLINE_S for seconds in deadlines):
                raise InvalidArgument(f"Ack deadlines must be between 0 and {MAX_STREAM_DEADLINE_S} seconds")
            try:
                self._subscription.modify_deadlines(zip(request.modify_deadline_ack_ids, deadlines, strict=True))
            except InvalidAckIds as invalid:
                modified = dict(invalid.reasons)
        if self._subscription.pb.enable_exactly_once_delivery and (request.ack_ids or request.modify_deadline_ack_ids):
            self._confirm(request, acked, modified)

    def response(self) -> Any:
        """Return the next response to send; None if there is none."""
        if not self._batch and self._confirmation is None:
            return None
        response = self._confirmation or _Response()
        self._confirmation = None
        # a lease may have ended since the message was taken
        response.received_messages.extend(self._subscription.received(d) for d in self._batch if d.leased)
        response.subscription_properties.exactly_once_delivery_enabled = (
            self._subscription.pb.enable_exactly_once_delivery
        )
        response.subscription_properties.message_ordering_enabled = self._subscription.pb.enable_message_ordering
        self._batch = []
        self._subscription.pump_soon()
        return response

    def fail(self, error: Refused) -> None:
        self.error = self.error or error
        self.changed.set()

    def close(self) -> None:
        self.closed = True
        self._subscription.unsubscribe(self)
        self.changed.set()

    def _confirm(self, request: Any, acked: dict[str, str], modified: dict[str, str]) -> None:
        """Confirm to the client of an exactly-once subscription which of its ack ids were accepted."""
        if self._confirmation is None:
            self._confirmation = _Response()
        acks = self._confirmation.acknowledge_confirmation
        acks.ack_ids.extend(id_ for id_ in request.ack_ids if id_ not in acked)
        acks.invalid_ack_ids.extend(acked)
        deadlines = self._confirmation.modify_ack_deadline_confirmation
        deadlines.ack_ids.extend(id_ for id_ in request.modify_deadline_ack_ids if id_ not in modified)
        deadlines.invalid_ack_ids.extend(modified)
        self.changed.set()


def handler(broker: Broker) -> Any:
    """Return the gRPC handler of StreamingPull."""

    async def streaming_pull(_: Any, context: Any) -> None:
        try:
            stream, subscription = _open(broker, await context.read())
            reader = asyncio.create_task(_read(context, stream))
            subscription.subscribe(stream)
            try:
                await _write(context, stream)
            finally:
                stream.close()
                reader.cancel()
        except Refused as refused:
            await abort(context, refused)

    return grpc.stream_stream_rpc_method_handler(
        streaming_pull, wire.StreamingPullRequest.FromString, wire.StreamingPullResponse.SerializeToString
    )


def _open(broker: Broker, first: Any) -> tuple[Stream, Subscription]:
    if first is grpc.aio.EOF or not first.subscription:
        raise InvalidArgument("first message must set subscription")
    if not first.stream_ack_deadline_seconds:
        raise InvalidArgument("first message must set stream_ack_deadline_seconds")
    _stream_deadline(first)
    subscription = broker.subscriptions.get(first.subscription)
    if subscription is None:
        raise NotFound(f"Subscription does not exist (resource={first.subscription.rpartition('/')[2]})")
    subscription.check_pullable()
    if subscription.pb.push_config.push_endpoint:
        raise FailedPrecondition(f"Subscription is a push subscription: (resource={subscription.name})")
    stream = Stream(subscription, first)
    stream.receive(first)
    return stream, subscription


async def _write(context: Any, stream: Stream) -> None:
    while True:
        await stream.changed.wait()
        stream.changed.clear()
        if stream.error is not None:
            raise stream.error
        response = stream.response()
        if response is not None:
            await context.write(response)
        elif stream.closed:
            return


async def _read(context: Any, stream: Stream) -> None:
    """Apply requests until the client sends no more; then end the stream, as Google's emulator does."""
    try:
        while (request := await context.read()) is not grpc.aio.EOF:
            if request.subscription:
                raise InvalidArgument("subscription may only be set in first message")
            stream.receive(request)
    except Refused as refused:
        stream.fail(refused)
    else:
        stream.close()


def _stream_deadline(request: Any) -> float:
    if not MIN_STREAM_DEADLINE_S <= request.stream_ack_deadline_seconds <= MAX_STREAM_DEADLINE_S:
        raise InvalidArgument(
            f"stream_ack_deadline_seconds must be between {MIN_STREAM_DEADLINE_S} and {MAX_STREAM_DEADLINE_S} seconds"
        )
    return float(request.stream_ack_deadline_seconds)
