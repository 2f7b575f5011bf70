"""The same history gives the same model to the byte, whatever else runs on the machine."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobs.data.history import load_history
from jobs.models.pairs import count_threads
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import add_two_kinds_of_users

MODEL = "SELECT algorithm, parameters::text, metrics::text FROM models WHERE version = :version"
ROWS = """
SELECT product_id, neighbours::text, scores::text, co_occurrence::text FROM item_similarity WHERE version = :version
ORDER BY product_id
"""


@contextmanager
def full_load() -> Iterator[None]:
    """Keep every processor busy twice over."""
    busy = [sys.executable, "-c", "while True: pass"]
    hogs = [subprocess.Popen(busy) for _ in range(2 * count_threads())]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def train(serve: Serve) -> tuple[dict[str, Any], list[Any], list[Any]]:
    response = serve("similarity").post("/", json={"time_budget_s": 4})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer, postgres.read(MODEL, version=answer["version"]), postgres.read(ROWS, version=answer["version"])


def move_events() -> None:
    """Store the events in another order, as after an update or a restored backup."""
    postgres.write("CREATE TABLE moved AS SELECT * FROM events ORDER BY occurred_at DESC, user_id DESC")
    postgres.write("DELETE FROM events")
    postgres.write("INSERT INTO events SELECT * FROM moved")


def test_the_order_of_a_history_is_not_that_of_the_table(env: object) -> None:
    add_two_kinds_of_users()
    before = load_history(90, 1_000_000)
    move_events()
    after = load_history(90, 1_000_000)
    assert len(after) == 1600
    for name in ("user_ids", "product_ids", "users", "items", "weights", "times"):
        assert getattr(after, name).tobytes() == getattr(before, name).tobytes(), name


def test_two_trainings_one_beside_a_full_load_publish_equal_rows(env: object, serve: Serve) -> None:
    add_two_kinds_of_users()
    answer, model, rows = train(serve)
    move_events()
    # the second training, too, has no version to start from
    postgres.write("UPDATE models SET active = false")
    with full_load():
        loaded_answer, loaded_model, loaded_rows = train(serve)
    assert not answer["aborted"]
    assert loaded_answer["version"] != answer["version"]
    assert len(rows) > 30
    assert answer["ndcg@20"] is not None
    assert loaded_model == model
    assert loaded_rows == rows
    # times are recorded with the runs
    runs = postgres.read("SELECT details ? 'train_s', details ? 'load_s' FROM training_runs")
    assert runs == [(True, True), (True, True)]
