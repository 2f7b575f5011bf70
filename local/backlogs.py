"""What waits in each subscription of the embedded Pub/Sub: the client of local/pubsub/inspection.py."""

import json
import os
from typing import Final, NamedTuple

SERVICE: Final = "aisle.pubsub.Inspection"
METHOD: Final = "ListBacklogs"


class Backlog(NamedTuple):
    """The messages of a subscription that are not acknowledged: their number, and the age of the oldest in seconds.

    ``oldest_age_s`` is None if there are none.
    """

    subscription: str
    waiting: int
    oldest_age_s: float | None


def read_backlogs(address: str, timeout_s: float = 5) -> list[Backlog]:
    """Return what waits in the server at ``address`` (host:port), by subscription.

    Raises ConnectionError if no server answers, or another one than ours, such as Google's emulator.
    """
    # gRPC logs to standard error from C; its failures reach us as exceptions
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{METHOD}")
        try:
            answer = call(b"", timeout=timeout_s)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                reason = f"Pub/Sub at {address} does not report waiting messages; the embedded one does."
            else:
                reason = f"Pub/Sub at {address} does not answer: {error.code().name}."
            raise ConnectionError(reason) from None
    return [Backlog(*row) for row in json.loads(answer)]
