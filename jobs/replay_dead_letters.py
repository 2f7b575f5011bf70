"""Job, hourly: publish dead letters again, each once. Messages that fail again wait for an administrator."""

from typing import Any

from shared.clients import postgres
from shared.errors import PubSubUnavailable
from shared.job import Parameters, job
from shared.manifest import manifest
from shared.storage.events import dead_letters


class ReplayDeadLetters(Parameters):
    """No parameters."""


@job
def replay_dead_letters(_parameters: ReplayDeadLetters) -> dict[str, Any]:
    """Publish the dead letters of every topic that were not replayed before and that a subscriber can read.

    Returns the numbers replayed and left, by topic. Raises DatabaseUnavailable while Postgres is unavailable, the most
    frequent cause of dead letters, and PubSubUnavailable if a topic's letters could not be read or published.
    """
    postgres.ping()
    topics: dict[str, dict[str, int]] = {}
    failure: PubSubUnavailable | None = None
    for topic in manifest().topics:
        try:
            replayed, left = dead_letters.replay_new(topic)
        except PubSubUnavailable as error:
            # go on with the other topics
            failure = error
            continue
        topics[topic] = {"replayed": replayed, "left": left}
    if failure is not None:
        raise failure
    return {"topics": topics}
