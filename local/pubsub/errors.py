"""Every error raised on purpose.

* PubSubError
  + Refused          a request fails with this gRPC status; code and text are those of Google's emulator
    - InvalidArgument (InvalidAckIds)
    - NotFound
    - AlreadyExists
    - OutOfRange
    - FailedPrecondition
  + StartError       the server cannot start: the port or the state file is in use, or the file is not ours
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
    """Ack ids that an exactly-once subscription no longer accepts; ``reasons`` maps each to a reason."""

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
