"""Job, every minute: publish the messages that a crash left between their commit and Pub/Sub."""

from typing import Any

from shared.errors import PubSubUnavailable
from shared.job import Parameters, job
from shared.storage.events import outbox


class PublishOutbox(Parameters):
    """Nothing to choose."""


@job
def publish_outbox(_parameters: PublishOutbox) -> dict[str, Any]:
    """Publish what is unsent, oldest first. Raises PubSubUnavailable when Pub/Sub took none of it."""
    published = outbox.publish_unsent()
    left = outbox.count_unsent()
    if left and not published:
        raise PubSubUnavailable(f"{left} messages wait in the outbox; the next run tries again.")
    return {"published": published, "unsent": left}
