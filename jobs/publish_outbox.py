"""Job, every minute: publish messages that were committed but, after a crash or an outage, not published."""

from typing import Any

from shared.errors import PubSubUnavailable
from shared.job import Parameters, job
from shared.storage.events import outbox


class PublishOutbox(Parameters):
    """No parameters."""


@job
def publish_outbox(_parameters: PublishOutbox) -> dict[str, Any]:
    """Publish the unsent messages of the outbox, oldest first.

    Returns the numbers published and still unsent. Raises PubSubUnavailable if messages remain and none was published.
    """
    published = outbox.publish_unsent()
    unsent = outbox.count_unsent()
    if unsent and not published:
        raise PubSubUnavailable(f"Pub/Sub accepted none of {unsent} messages in the outbox; the next run tries again.")
    return {"published": published, "unsent": unsent}
