"""The topics and subscriptions of `functions.yaml`, created on an emulator as Terraform creates them in the cloud.

For each topic: the topic, ``<topic>-dead-letter`` and a pull subscription of that name, from which an administrator
replays. For each event function: a push subscription of its name.
"""

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from local.services import PROJECT
from shared.manifest import Entry, Manifest

DEAD_LETTER = "-dead-letter"
DEADLINE_S = 30


def ensure(manifest: Manifest, endpoint: str, environment: Mapping[str, str], token: str) -> None:
    """Create what is missing and update what differs. ``endpoint`` is the events worker's URL with ``/_events``.

    ``token`` opens the worker. It is part of the endpoints, because an emulator sends no token of its own.

    Reads PUBSUB_EMULATOR_HOST from the process's environment, as the client does.
    """
    from google.api_core.exceptions import AlreadyExists, NotFound
    from google.cloud import pubsub_v1

    project = environment.get("GOOGLE_CLOUD_PROJECT", PROJECT)
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()

    def topic(name: str) -> str:
        path: str = publisher.topic_path(project, name)
        with contextlib.suppress(AlreadyExists):
            publisher.create_topic(name=path, timeout=DEADLINE_S)
        return path

    def subscription(settings: dict[str, Any], mutable: tuple[str, ...]) -> None:
        try:
            existing = subscriber.get_subscription(subscription=settings["name"], timeout=DEADLINE_S)
        except NotFound:
            subscriber.create_subscription(request=settings, timeout=DEADLINE_S)
            return
        if existing.filter != settings.get("filter", "") or existing.topic != settings["topic"]:
            # neither can be updated, and the waiting messages were chosen by the old filter
            subscriber.delete_subscription(subscription=settings["name"], timeout=DEADLINE_S)
            subscriber.create_subscription(request=settings, timeout=DEADLINE_S)
            return
        desired = pubsub_v1.types.Subscription(settings)
        changed = [name for name in mutable if getattr(existing, name) != getattr(desired, name)]
        if changed:
            request = {"subscription": desired, "update_mask": {"paths": changed}}
            subscriber.update_subscription(request=request, timeout=DEADLINE_S)

    try:
        topics = {name: topic(name) for name in manifest.topics}
        dead = {name: topic(name + DEAD_LETTER) for name in manifest.topics}
        for name, path in dead.items():
            waiting = subscriber.subscription_path(project, name + DEAD_LETTER)
            subscription({"name": waiting, "topic": path, "ack_deadline_seconds": 60}, ())
        for entry in manifest.of_kind("event"):
            path = subscriber.subscription_path(project, entry.name)
            subscription(
                push(entry, path, topics[entry.topic], dead[entry.topic], f"{endpoint}/{entry.name}?token={token}"),
                ("push_config", "retry_policy", "dead_letter_policy", "ack_deadline_seconds"),
            )
    finally:
        subscriber.close()
        publisher.stop()
        publisher.transport.close()


def push(entry: Entry, name: str, topic: str, dead_letter_topic: str, endpoint: str) -> dict[str, Any]:
    """Return the settings of an event function's subscription."""
    return {
        "name": name,
        "topic": topic,
        "filter": entry.filter,
        "ack_deadline_seconds": min(max(entry.timeout_s, 10), 600),
        "push_config": {"push_endpoint": endpoint},
        "retry_policy": {
            "minimum_backoff": timedelta(seconds=entry.min_backoff_s),
            "maximum_backoff": timedelta(seconds=entry.max_backoff_s),
        },
        "dead_letter_policy": {"dead_letter_topic": dead_letter_topic, "max_delivery_attempts": entry.attempts},
    }
