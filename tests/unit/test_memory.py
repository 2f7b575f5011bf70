"""Databases of tests are in memory where there is room, and no run leaves them there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import memory


@pytest.fixture
def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "FREE_BYTES", 0)


@pytest.mark.usefixtures("room")
def test_a_folder_is_of_its_own_and_goes_with_what_it_holds(tmp_path: Path) -> None:
    with memory.folder_in_memory(tmp_path / "otherwise", tmp_path) as folder:
        (folder / "database").mkdir()
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("room")
def test_folders_of_killed_runs_are_deleted_and_no_others(tmp_path: Path, ended_process: int) -> None:
    killed, living, other = (
        tmp_path / name for name in (f"aisle-tests-{ended_process}-a", f"aisle-tests-{os.getpid()}-b", "PostgreSQL.1")
    )
    for folder in (killed, living, other):
        folder.mkdir()
        (folder / "file").touch()
    with memory.folder_in_memory(tmp_path, tmp_path):
        assert [folder.exists() for folder in (killed, living, other)] == [False, True, True]


@pytest.mark.usefixtures("room")
def test_without_a_memory_file_system_the_other_folder_is_used(tmp_path: Path) -> None:
    with memory.folder_in_memory(tmp_path, tmp_path / "missing") as folder:
        assert folder == tmp_path


def test_without_room_the_other_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "FREE_BYTES", 2**60)
    with memory.folder_in_memory(tmp_path / "otherwise", tmp_path) as folder:
        assert folder == tmp_path / "otherwise"
    assert list(tmp_path.iterdir()) == []
