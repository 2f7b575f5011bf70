"""Every error raised on purpose.

* PubSubError
  + Refused          a request is answered with a gRPC status; the code and the text are Google's
    - InvalidArgument (InvalidAckIds)
    - NotFound
    - AlreadyExists
    - OutOfRange
    - FailedPrecondition
  + StartError       the server cannot start: port in use, state file in use or not ours
"""

from collections.abc import Mapping

import grpc


class PubSubError(Exception):
    pass


class StartError(PubSubError):
    pass


class Refused(PubSubError):
    code = grpc.StatusCode.UNKNOWN


class InvalidArgument(Refused):
    code = grpc.StatusCode.INVALID_ARGUMENT


class InvalidAckIds(InvalidArgument):
    """Ack ids that an exactly-once subscription no longer honours; ``reasons`` is ack id → reason."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("Some acknowledgement ids in the request were invalid.")
        self.reasons = reasons


class NotFound(Refused):
    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(Refused):
    code = grpc.StatusCode.ALREADY_EXISTS


class OutOfRange(Refused):
    code = grpc.StatusCode.OUT_OF_RANGE


class FailedPrecondition(Refused):
    code = grpc.StatusCode.FAILED_PRECONDITION
