"""What waits in each subscription: a service beside Google's, which has no such method, and its client."""

import json
import time
from typing import Any, Final, NamedTuple

import grpc

from local.pubsub.broker import Broker

SERVICE: Final = "aisle.pubsub.Inspection"
METHOD: Final = "ListBacklogs"


class Backlog(NamedTuple):
    """The messages of a subscription that are not acknowledged: their number, and the age of the oldest in seconds.

    ``oldest_age_s`` is None if there are none.
    """

    subscription: str
    waiting: int
    oldest_age_s: float | None


def handler(broker: Broker) -> Any:
    """Return the gRPC handler of the service. Requests are empty, responses JSON."""

    async def list_backlogs(_request: bytes, _context: Any) -> bytes:
        now_ms = time.time_ns() // 1_000_000
        rows = []
        for name, subscription in sorted(broker.subscriptions.items()):
            waiting, oldest_ms = subscription.unacknowledged()
            age_s = None if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000
            rows.append([name.rpartition("/")[2], waiting, age_s])
        return json.dumps(rows).encode()

    return grpc.method_handlers_generic_handler(SERVICE, {METHOD: grpc.unary_unary_rpc_method_handler(list_backlogs)})


def read_backlogs(address: str, timeout_s: float = 5) -> list[Backlog]:
    """Return what waits in the server at ``address`` (host:port), by subscription.

    Raises ConnectionError if no server answers, or another one than ours, such as Google's emulator.
    """
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{METHOD}")
        try:
            answer = call(b"", timeout=timeout_s)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                raise ConnectionError(f"Pub/Sub at {address} does not say what waits; the embedded one does.") from None
            raise ConnectionError(f"Pub/Sub at {address} does not answer: {error.code().name}.") from None
    return [Backlog(*row) for row in json.loads(answer)]
