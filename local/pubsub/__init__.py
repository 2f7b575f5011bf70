"""A durable Pub/Sub server for one machine, spoken to by the unmodified google-cloud-pubsub client."""

from local.pubsub.errors import StartError
from local.pubsub.server import PubSubServer

__all__ = ["PubSubServer", "StartError"]
