"""How `python -m benchmarks.capacity` counts, and what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import capacity
from benchmarks.capacity import rounded, write_costs
from benchmarks.metering import Spent, processor_s
from delivery.capacity_plan import COSTS_FILE
from delivery.demand import CACHED, UNCACHED


def test_every_operation_of_a_plan_is_measured() -> None:
    measured = {operation.name for operation in capacity.operations(1000)}
    planned = {name for pair in CACHED.values() for name in pair} | set(UNCACHED.values())
    assert planned | {"event_applied", "purchase_counted"} == measured


def test_requests_of_two_runs_differ_where_nothing_may_be_stored() -> None:
    for operation in capacity.operations(10_000):
        if operation.name == "checkout":
            # it fills carts in the database
            continue
        first, second = operation.requests(0), operation.requests(1)
        stored = operation.name.endswith("_cached")
        assert len(first) == len(second) == (capacity.CACHED_REQUESTS if stored else capacity.REQUESTS)
        assert bool(set(first) & set(second)) == stored or operation.function in ("events", "update_preferences")


def test_the_processor_time_of_ended_children_counts() -> None:
    import psutil

    me = psutil.Process()
    before = processor_s([me])
    subprocess.run([sys.executable, "-c", "sum(n * n for n in range(3_000_000))"], check=True)
    assert processor_s([me]) - before > 0.05


def test_what_was_spent_is_a_difference() -> None:
    assert Spent(3, 5, 7, 11).minus(Spent(1, 2, 3, 4)) == Spent(2, 3, 4, 7)


@pytest.mark.parametrize(("value", "shown"), [(1234.5, 1230.0), (0.012345, 0.0123), (-0.001, 0.0), (0.0, 0.0)])
def test_figures_have_three_digits_and_are_never_negative(value: float, shown: float) -> None:
    assert rounded(value) == shown


def test_entries_of_other_commands_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "costs.json"
    file.write_text(COSTS_FILE.read_text())
    monkeypatch.setattr(capacity, "COSTS_FILE", file)
    before = json.loads(file.read_text())
    write_costs({"search": {"function_ms": 1.5}}, {"message_bytes": {"value": 3.0}}, "a machine")
    after = json.loads(file.read_text())
    # what was not measured now is that of another run
    assert after["operations"]["search"] == before["operations"]["search"] | {"function_ms": 1.5}
    assert after["operations"]["checkout"] == before["operations"]["checkout"]
    assert after["sizes"]["message_bytes"] == {"value": 3.0}
    assert after["about"] == "a machine"
    assert after["sizes"]["pair_bytes"] == before["sizes"]["pair_bytes"]
    assert after["note"] == before["note"]
