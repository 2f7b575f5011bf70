"""The job that publishes what a crash left unsent."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from shared import clients
from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.messages import CATALOG_CHANGES, catalog_changes
from shared.storage.events import outbox
from tests.integration.concurrency import run_concurrently
from tests.integration.conftest import Messages, Serve


def add(numbers: range) -> None:
    with transaction() as connection:
        for number in numbers:
            outbox.add(connection, CATALOG_CHANGES, *catalog_changes([number], "updated"))


def age() -> None:
    """Make the messages old enough for the job; younger messages are left to their writer."""
    postgres.write("UPDATE outbox SET created_at = created_at - interval '1 minute'")


def unsent() -> int:
    return int(postgres.read("SELECT count(*) FROM outbox WHERE published_at IS NULL")[0][0])


KILLED = """
import os, signal
from tests.integration.jobs.test_publish_outbox import add
add(range(7, 8))
# committed; the process dies before it could publish
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_messages_committed_by_a_killed_process_are_published_once(
    env: dict[str, str], serve: Serve, messages: Messages, repository: Path
) -> None:
    take = messages(CATALOG_CHANGES)
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=repository, env=os.environ | env, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert unsent() == 1
    age()
    job = serve("publish_outbox")
    assert job.post("/", json={}).json()["published"] == 1
    (message,) = take()
    assert message.data == b'{"product_ids":[7],"change":"updated"}'
    assert dict(message.attributes) == {"schema": "catalog-changes/1"}
    assert unsent() == 0
    assert job.post("/", json={}).json()["published"] == 0
    assert take(timeout_s=0.5) == []


def test_a_message_just_written_is_left_to_its_writer(env: object, serve: Serve) -> None:
    add(range(1))
    assert serve("publish_outbox").post("/", json={}).json() | {"seconds": 0} == {
        "job": "publish_outbox",
        "published": 0,
        "unsent": 0,
        "seconds": 0,
    }
    assert unsent() == 1


def test_two_runs_at_once_publish_each_message_once(env: object, messages: Messages) -> None:
    take = messages(CATALOG_CHANGES)
    add(range(300))
    age()
    # below the job, whose lock would let only one of the two run
    published = run_concurrently(lambda _number: outbox.publish_unsent(batch=20), range(2))
    assert sum(published) == 300
    received = take(expected=300) + take(expected=1, timeout_s=0.5)
    assert sorted(message.data for message in received) == sorted(
        catalog_changes([n], "updated")[0] for n in range(300)
    )


def test_a_second_run_of_the_job_is_a_conflict(env: object, serve: Serve) -> None:
    from shared.job import one_at_a_time

    with one_at_a_time("publish_outbox"):
        answer = serve("publish_outbox").post("/", json={})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:aisle:problem:job-running"


def test_without_pubsub_nothing_is_lost_and_the_run_fails(
    env: object, serve: Serve, messages: Messages, monkeypatch: Any
) -> None:
    take = messages(CATALOG_CHANGES)
    add(range(3))
    age()
    with monkeypatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        patch.setenv("PUBLISH_TIMEOUT_S", "0.5")
        clients.reset()
        answer = serve("publish_outbox").post("/", json={})
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:aisle:problem:pubsub-unavailable"
        assert unsent() == 3
    clients.reset()
    assert serve("publish_outbox").post("/", json={}).json()["published"] == 3
    assert len(take(expected=3)) == 3
