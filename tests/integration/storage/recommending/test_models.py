"""Publishing, switching and dropping model versions."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.errors import Conflict, NotFound
from shared.storage.recommending import models
from tests.integration.concurrency import run_concurrently

ROWS = 2000


def rows(marker: int, number: int = ROWS) -> Iterator[bytes]:
    for product in range(1, number + 1):
        yield b"%d\t{%d}\t{0.5}\t{2}\n" % (product, marker)


def publish(marker: int = 1, lines: Iterator[bytes] | None = None) -> int:
    return models.publish(
        job="similarity",
        started_at=datetime.now(UTC),
        algorithm="cosine",
        parameters={},
        metrics={"marker": marker},
        rows=rows(marker) if lines is None else lines,
    )


def active() -> int | None:
    model = models.active()
    return None if model is None else model.version


def tables() -> set[str]:
    names = postgres.read("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'item\\_similarity\\_%'")
    return {row[0] for row in names}


def test_readers_see_the_whole_of_one_version_at_any_time(env: object) -> None:
    publish(0)
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            row = postgres.read(
                """SELECT count(*), min(neighbours[1]), max(neighbours[1]) FROM item_similarity
                   WHERE version = (SELECT version FROM models WHERE active)"""
            )
            seen.add(tuple(row[0]))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for marker in range(1, 9):
            publish(marker)
            models.drop_surplus()
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 2
    assert seen <= {(ROWS, marker, marker) for marker in range(9)}


def test_an_error_in_the_middle_leaves_the_active_version_and_no_litter(env: object) -> None:
    first = publish(1)
    before = tables()

    def broken() -> Iterator[bytes]:
        yield from rows(2, 100)
        raise RuntimeError("the power went out")

    with pytest.raises(RuntimeError, match="the power went out"):
        publish(2, broken())
    with pytest.raises(Exception, match="invalid input syntax"):
        publish(2, iter([b"not\ta\trow\tat all\n"]))
    assert active() == first
    assert tables() == before
    assert [model.version for model in models.list_models()] == [first]
    second = publish(3)
    assert active() == second
    assert postgres.read("SELECT outcome, version FROM training_runs ORDER BY id") == [
        ("published", first),
        ("published", second),
    ]


HANGS = """
import sys, time
from tests.integration.storage.recommending.test_models import publish, rows

def hang():
    yield from rows(9, 100)
    print("copying", flush=True)
    time.sleep(60)

publish(9, hang())
"""


def test_a_killed_publisher_leaves_the_active_version_and_does_not_block_others(
    env: dict[str, str], repository: Path
) -> None:
    first = publish(1)
    environment = os.environ | env
    with subprocess.Popen(
        [sys.executable, "-c", HANGS], cwd=repository, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "copying\n"
        assert active() == first
        # others publish while it hangs, and after it died
        second = publish(2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    third = publish(3)
    assert active() == third
    assert [model.version for model in models.list_models()] == [third, second, first]
    assert tables() == {f"item_similarity_{version}" for version in (first, second, third)}


def test_publishers_at_once_both_publish_and_one_version_is_active(env: object) -> None:
    def work(marker: int) -> None:
        publish(marker)
        models.drop_surplus()

    run_concurrently(work, range(4))
    versions = models.list_models()
    assert len(versions) == 4
    assert [model.version for model in versions if model.active] == [active()]


def test_the_last_five_versions_are_kept_and_the_active_one_whatever_its_age(env: object) -> None:
    versions = [publish(marker) for marker in range(5)]
    with transaction() as connection:
        assert models.activate(connection, versions[0]) == versions[4]
    versions += [publish(5), publish(6)]
    with transaction() as connection:
        models.activate(connection, versions[0])
    assert models.drop_surplus() == [versions[1]]
    assert tables() == {f"item_similarity_{version}" for version in [versions[0], *versions[2:]]}
    assert {model.version for model in models.list_models() if not model.stored} == {versions[1]}
    assert active() == versions[0]
    assert models.drop_surplus() == []


def test_an_unknown_or_dropped_version_cannot_be_activated(env: object) -> None:
    versions = [publish(marker) for marker in range(6)]
    assert models.drop_surplus() == [versions[0]]
    with pytest.raises(Conflict), transaction() as connection:
        models.activate(connection, versions[0])
    with pytest.raises(NotFound), transaction() as connection:
        models.activate(connection, 10_000)
    assert active() == versions[5]


def test_a_reader_that_does_not_give_way_only_postpones_the_drop(env: object) -> None:
    versions = [publish(marker) for marker in range(6)]
    with transaction() as connection:
        postgres.execute(connection, "SELECT count(*) FROM item_similarity")
        assert models.drop_surplus() == []
    assert models.drop_surplus() == [versions[0]]
