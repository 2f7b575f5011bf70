"""A service beside Google's: what waits in each subscription, for which Google's has no method.

local/backlogs.py is its client.
"""

import json
import time
from typing import Any

import grpc

from local.backlogs import METHOD, SERVICE
from local.pubsub.broker import Broker


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
