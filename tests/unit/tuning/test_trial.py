"""The time that tuning may take: what else runs on the machine takes none of it."""

import time

import pytest

from jobs.tuning.trial import LONGEST, Deadline, own_time_clock


@pytest.mark.parametrize(
    ("elapsed", "processor", "spent"),
    [
        (10.0, 10.0, 10.0),
        # two threads: an idle machine's budget is elapsed time
        (10.0, 20.0, 10.0),
        # another process has a third of the processor
        (10.0, 6.7, 6.7),
        # the limit, and beyond it: nearly no processor
        (10.0, 10.0 / LONGEST, 5.0),
        (10.0, 4.9, 5.0),
        (10.0, 0.0, 5.0),
    ],
)
def test_other_work_on_the_machine_spends_no_budget(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, processor: float, spent: float
) -> None:
    now = {"wall": 1000.0, "cpu": 70.0}
    monkeypatch.setattr(time, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(time, "process_time", lambda: now["cpu"])
    deadline = Deadline(30, own_time_clock())
    assert deadline.left == 30
    now["wall"] += elapsed
    now["cpu"] += processor
    assert deadline.left == pytest.approx(30 - spent)
