"""gRPC handlers for services of coroutines. A ``Refused`` becomes the call's status."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from local.pubsub import wire
from local.pubsub.errors import InvalidAckIds, Refused

PACKAGE = "google.pubsub.v1"

Method = Callable[[Any, Any], Awaitable[Any]]
Unary = tuple[Method, str, str]
"""A method with the names of its request and response types."""

log = logging.getLogger(__name__)


def unary_handler(method: Method, request: str, response: str) -> Any:
    async def handle(message: Any, context: Any) -> Any:
        try:
            return await method(message, context)
        except Refused as refused:
            await abort(context, refused)
        except sqlite3.Error as error:
            log.error("the state file cannot be written: %s", error)
            await context.abort(grpc.StatusCode.INTERNAL, "The state file cannot be written.")

    response_type = wire.Empty if response == "Empty" else wire.raw(response)
    return grpc.unary_unary_rpc_method_handler(handle, wire.raw(request).FromString, response_type.SerializeToString)


async def abort(context: Any, refused: Refused) -> None:
    """End a call with the status of ``refused``."""
    metadata: tuple[tuple[str, bytes], ...] = ()
    if isinstance(refused, InvalidAckIds):
        info = error_details_pb2.ErrorInfo(
            reason="EXACTLY_ONCE_ACKID_FAILURE", domain="pubsub.googleapis.com", metadata=refused.reasons
        )
        detail = any_pb2.Any()
        detail.Pack(info)
        status = status_pb2.Status(code=refused.code.value[0], message=str(refused), details=[detail])
        metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(refused.code, str(refused), metadata)


def service_handler(name: str, handlers: Mapping[str, Any]) -> Any:
    return grpc.method_handlers_generic_handler(f"{PACKAGE}.{name}", dict(handlers))


class Unimplemented(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc is untyped
    """Answers every method that is not implemented, such as those of schemas and snapshots, with UNIMPLEMENTED."""

    def service(self, details: Any) -> Any:
        path: str = details.method.lstrip("/")
        if not path.startswith(f"{PACKAGE}."):
            return None

        async def refuse(_: bytes, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"Method {path} is unimplemented")

        return grpc.unary_unary_rpc_method_handler(refuse)
