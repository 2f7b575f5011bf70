"""What the benchmark of Spark derives from its rows."""

from typing import Any

import pytest

from benchmarks.spark import FURTHER, further, plot, sent_entry_us


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
    assert further([(1e3, 1), (1e4, 10), (1e5, 1000)]) == pytest.approx(1000 * (FURTHER / 1e5) ** 2)


def test_the_plot_dashes_what_was_not_measured() -> None:
    rows = [row("local", 1, 1_000_000, 5), row("local", 1, 10_000_000, 60)]
    rows += [row("Spark", 12, 1_000_000, 30), row("Spark", 12, 10_000_000, 100), row("Spark", 30, 1_000_000, 40)]
    drawn = plot(rows)
    # two lines in each of two panels, of two measured points
    assert drawn.count("<circle") == 8
    assert drawn.count("stroke-dasharray") == 4
    assert drawn.count("Spark, 12 tasks") == 2
    assert "30 tasks" not in drawn
