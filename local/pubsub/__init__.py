"""A durable Pub/Sub server for one machine. The google-cloud-pubsub client talks to it unmodified."""

from local.pubsub.errors import StartError
from local.pubsub.server import PubSubServer

__all__ = ["PubSubServer", "StartError"]
