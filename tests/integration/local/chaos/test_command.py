"""The short form of `./aisle chaos`: a whole system, broken in several ways, loses and doubles nothing.

How long it takes is no matter here, since other tests run beside it.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.chaos.command import chaos, run
from local.chaos.faults import FAULTS, SHORT
from local.chaos.record import read


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the database's user may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="aisle-chaos-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_nothing_is_lost_and_nothing_doubled(folder: Path) -> None:
    outcomes = run(folder, [FAULTS[name] for name in SHORT], 2.0, folder / "kept", calm_s=0.5)
    assert [outcome.fault.name for outcome in outcomes] == list(SHORT)
    for outcome in outcomes:
        assert (outcome.findings, outcome.wrong, outcome.stale) == ([], [], [])
        assert outcome.requests > 0
    accepted = read(folder / "kept/record.jsonl")
    assert len(accepted.events) > 10
    assert accepted.poison


def test_an_unknown_fault_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        chaos(["kill-everybody"])
    assert ended.value.code == 2
    assert "unknown fault kill-everybody; the faults are kill-gateway, " in capsys.readouterr().err
