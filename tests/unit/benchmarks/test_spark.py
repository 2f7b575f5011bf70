"""The benchmark of Spark compares to the last bit, and draws the same events each time."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import spark
from jobs.models import pairs
from jobs.spark.events import table_of
from jobs.tuning.fitting import NEIGHBOURS
from tests.unit.spark.shops import run_steps


def test_events_are_the_same_each_time_and_of_other_users_with_another_seed() -> None:
    history, again, other = spark.random_history(20_000), spark.random_history(20_000), spark.random_history(20_000, 2)
    assert len(history) == 20_000
    assert np.array_equal(history.items, again.items)
    assert not np.array_equal(history.items, other.items)
    # a power law: the most popular product has several times its share
    assert np.bincount(history.items).max() > 2 * 20_000 / len(history.product_ids)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The files of both engines for one history."""
    monkeypatch.setattr(pairs, "MIN_COMPILED_WORK", 0)
    history = spark.random_history(3_000)
    pq.write_table(table_of(history), tmp_path / "events.parquet")
    spark.train_locally(tmp_path / "events.parquet", tmp_path / "local.npz")
    (folder := tmp_path / "model=0").mkdir()
    pq.write_table(run_steps(history, spark.MODEL, 2, NEIGHBOURS), folder / "part.parquet")
    (folder / "_SUCCESS").touch()
    return tmp_path / "local.npz", tmp_path


def test_equal_results_are_equal_and_a_single_bit_is_seen(results: tuple[Path, Path]) -> None:
    local, output = results
    assert spark.is_equal(local, output)
    with np.load(local) as ours:
        arrays = dict(ours)
    scores = arrays["scores"].copy()
    place = tuple(np.argwhere(scores > 0)[0])
    scores[place] = np.nextafter(scores[place], np.float32(0))
    np.savez(local, **(arrays | {"scores": scores}))
    assert not spark.is_equal(local, output)
