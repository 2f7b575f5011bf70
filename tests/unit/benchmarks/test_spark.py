"""The benchmark of Spark compares to the last bit, draws the same events each time, and derives costs from its rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import spark
from benchmarks.spark import FURTHER, extrapolate, plot, sent_entry_us
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


def row(engine: str, tasks: int, pairs: int, cpu_s: float) -> dict[str, Any]:
    return {"engine": engine, "tasks": tasks, "events": pairs, "pairs": pairs, "cpu_s": cpu_s, "peak_mb": 10.0 * cpu_s}


def test_the_cost_of_an_entry_is_that_of_more_entries_in_as_many_tasks() -> None:
    rows = [
        row("local", 1, 1_000_000, 5),
        row("Spark", 30, 5_000_000, 300),
        row("Spark", 12, 11_000_000, 150),
        row("Spark", 12, 1_000_000, 30),
        row("local", 1, 11_000_000, 90),
    ]
    # 120 s for 10 million entries more, each of which is sent to 3 + 1 tasks
    assert sent_entry_us(rows) == pytest.approx(3)
    assert sent_entry_us(rows[:3]) is None


def test_a_line_goes_on_with_its_last_growth() -> None:
    # tenfold by ten times the size, and then a hundredfold
    assert extrapolate([(1e3, 1), (1e4, 10), (1e5, 1000)]) == pytest.approx(1000 * (FURTHER / 1e5) ** 2)


def test_the_plot_dashes_what_was_not_measured() -> None:
    rows = [row("local", 1, 1_000_000, 5), row("local", 1, 10_000_000, 60)]
    rows += [row("Spark", 12, 1_000_000, 30), row("Spark", 12, 10_000_000, 100), row("Spark", 30, 1_000_000, 40)]
    drawn = plot(rows)
    # two lines in each of two panels, of two measured points
    assert drawn.count("<circle") == 8
    assert drawn.count("stroke-dasharray") == 4
    assert drawn.count("Spark, 12 tasks") == 2
    assert "30 tasks" not in drawn
