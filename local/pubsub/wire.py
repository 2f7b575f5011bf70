"""The raw protobuf classes of google.pubsub.v1, without their proto-plus wrappers.

A wrapper costs several times the CPU of its message. The classes are untyped, like grpc, hence ``Any`` here and in the
gRPC handlers.
"""

from typing import Any

from google.protobuf import duration_pb2, empty_pb2, timestamp_pb2
from google.pubsub_v1.types import pubsub

Duration: Any = duration_pb2.Duration
Empty: Any = empty_pb2.Empty
Timestamp: Any = timestamp_pb2.Timestamp


def raw(name: str) -> Any:
    """Return the protobuf class behind the proto-plus type ``name`` of google.pubsub.v1."""
    return getattr(pubsub, name).pb()


PubsubMessage = raw("PubsubMessage")
PushConfig = raw("PushConfig")
ReceivedMessage = raw("ReceivedMessage")
StreamingPullRequest = raw("StreamingPullRequest")
StreamingPullResponse = raw("StreamingPullResponse")
Subscription = raw("Subscription")
Topic = raw("Topic")


def seconds(duration: Any) -> float:
    """Return a protobuf Duration or Timestamp as seconds."""
    return float(duration.seconds + duration.nanos / 1e9)
