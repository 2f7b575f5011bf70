"""Pub/Sub: who may publish where."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.terraform.conftest import Plan


def functions_publish_to_their_own_topics_alone(plan: "Plan") -> Iterator[str]:
    """A function that is broken into must not write events of another kind."""
    granted = set(plan.by_key("google_pubsub_topic_iam_member", "publisher"))
    wanted = {f"{name} {topic}" for name, entry in plan.listed.entries.items() for topic in entry.publishes}
    for pair in sorted(granted ^ wanted):
        yield f"{pair}: {'granted without need' if pair in granted else 'not granted'}"
    for grant in plan.by_key("google_pubsub_topic_iam_member", "publisher").values():
        if grant["role"] != "roles/pubsub.publisher":
            yield f"a publisher has {grant['role']}"


def health_sees_every_topic(plan: "Plan") -> Iterator[str]:
    """GET /health and ./aisle doctor look each topic up."""
    seen = set(plan.by_key("google_pubsub_topic_iam_member", "viewer"))
    wanted = {
        f"{name} {topic}"
        for name, entry in plan.listed.entries.items()
        if "pubsub" in entry.needs
        for topic in plan.listed.topics
    }
    for pair in sorted(wanted - seen):
        yield f"{pair}: /health cannot see the topic"


RULES = (functions_publish_to_their_own_topics_alone, health_sees_every_topic)
