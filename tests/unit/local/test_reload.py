"""What a change of a file restarts, and what keeps the running code."""

import os
import py_compile
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from local import reload
from local.places import ROOT
from local.processes import READY_FILE, Part
from shared.manifest import manifest


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("functions/products/main.py", {"gateway"}),
        ("functions/web/files.py", {"gateway"}),
        ("functions/update_popularity/main.py", {"events"}),
        ("functions/edge/main.py", set()),
        ("functions/of_no_entry/main.py", set()),
        ("functions/__init__.py", {"gateway", "events", "jobs"}),
        ("jobs/trending.py", {"jobs"}),
        ("jobs/models/cosine.py", {"jobs"}),
        ("shared/auth.py", {"gateway", "events", "jobs"}),
        ("shared/common_passwords.txt", {"gateway", "events", "jobs"}),
        ("main.py", {"gateway", "events", "jobs"}),
    ],
)
def test_a_change_restarts_the_parts_that_run_the_file(path: str, parts: set[str]) -> None:
    assert reload.parts_of(path, manifest()) == parts


def test_every_function_and_job_is_watched() -> None:
    seen = reload.versions()
    for entry in manifest().entries.values():
        assert (f"jobs/{entry.name}.py" if entry.kind == "job" else f"functions/{entry.name}/main.py") in seen
    assert {"main.py", "functions.yaml", "shared/auth.py", "shared/common_passwords.txt"} <= set(seen)
    assert not [path for path in seen if path.startswith(("web/", "local/", "tests/")) or path.endswith(".pyc")]
    assert all((ROOT / path).is_file() for path in seen)


def test_files_that_change_come_and_go_are_noticed() -> None:
    before = {"a.py": (1, 10), "b.py": (1, 10), "c.py": (1, 10), "same.py": (1, 10)}
    after = {"a.py": (2, 10), "b.py": (1, 11), "d.py": (1, 10), "same.py": (1, 10)}
    assert reload.changed(before, after) == {"a.py", "b.py", "c.py", "d.py"}


def test_a_syntax_error_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "wrong.py").write_text("x = 1\ndef f(:\n    pass\n")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0")
    (tmp_path / "text.txt").write_text("def f(:")
    assert reload.fault_of(["good.py", "text.txt", "gone.py"], tmp_path) is None
    assert reload.fault_of(["good.py", "wrong.py"], tmp_path) == "wrong.py:2: invalid syntax"
    assert (reload.fault_of(["nul.py"], tmp_path) or "").startswith("nul.py:1: ")


def test_a_change_within_a_second_is_not_hidden_by_the_compiled_file(tmp_path: Path) -> None:
    file, other = tmp_path / "code.py", tmp_path / "other.py"
    for one in (file, other):
        one.write_text("x = 1\n")
        py_compile.compile(str(one))
    file.write_text("x = 2\n")
    os.utime(file, ns=(other.stat().st_mtime_ns, other.stat().st_mtime_ns))
    reload.forget_compiled(["code.py", "gone.py", "text.txt"], tmp_path)
    assert not Path(cache_from_source(str(file))).exists()
    assert Path(cache_from_source(str(other))).exists()


def test_what_is_removed_meanwhile_and_links_to_nothing_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in reload.FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "shared/kept.py").touch()
    # as Emacs locks a file
    (tmp_path / "shared/.#kept.py").symlink_to("somebody@somewhere.123")
    (tmp_path / "functions/leaves").mkdir()
    scandir = os.scandir

    def without(folder: str | Path) -> "os._ScandirIterator[str]":
        if str(folder).endswith("leaves"):
            raise FileNotFoundError(folder)
        return scandir(str(folder))

    monkeypatch.setattr(os, "scandir", without)
    assert set(reload.versions(tmp_path)) == {"shared/kept.py"}


class Gateway:
    """A reloader over two files and a gateway whose processes sleep, and serve when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, tuple[int, int]] = {"functions/products/main.py": (1, 1), "shared/auth.py": (1, 1)}
        self.folder = folder
        self.started: list[Path] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.printed: list[str] = []

    def watch(self) -> None:
        self.gateway = self.start({})
        self.reloader = reload.Reloader(
            {reload.GATEWAY: self.gateway}, {reload.GATEWAY: self.start}, manifest(), self.folder, self.printed.append
        )

    def start(self, settings: Mapping[str, str]) -> Part:
        if settings:
            self.started.append(Path(settings[READY_FILE]))
        process = subprocess.Popen(["sleep", "60"], start_new_session=True)
        self.processes.append(process)
        return Part("Gateway", process, self.folder / "log")

    def check_until_started(self, count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.started) < count:
            assert time.monotonic() < deadline, self.printed
            self.reloader.check()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path)
    monkeypatch.setattr(reload, "versions", lambda: dict(gateway.files))
    gateway.watch()
    yield gateway
    gateway.end()


def test_what_changes_while_a_process_starts_is_for_the_next_one(watched: Gateway) -> None:
    watched.files["functions/products/main.py"] = (2, 1)
    watched.check_until_started(1)
    # the new process serves, and the file is saved again before anybody has looked
    watched.started[0].touch()
    watched.files["functions/products/main.py"] = (3, 1)
    assert watched.reloader.check()
    watched.check_until_started(2)
    watched.started[1].touch()
    assert watched.reloader.check()
    # nothing is left to do
    assert not watched.reloader.check()
    assert len(watched.started) == 2
    assert watched.gateway.process is watched.processes[2]
    assert [line.rpartition(" for ")[2] for line in watched.printed] == ["functions/products/main.py"] * 2


def test_a_process_that_replaces_one_that_has_not_served_is_for_the_files_of_both(watched: Gateway) -> None:
    watched.files["functions/products/main.py"] = (2, 1)
    watched.check_until_started(1)
    watched.files["functions/cart/main.py"] = (1, 1)
    watched.check_until_started(2)
    watched.started[1].touch()
    assert watched.reloader.check()
    assert watched.gateway.process is watched.processes[2]
    (line,) = watched.printed
    assert line.endswith(" for functions/cart/main.py and 1 more")


def test_a_file_with_which_a_process_failed_is_among_those_of_the_next_one(watched: Gateway) -> None:
    before = watched.gateway.process
    watched.files["functions/products/main.py"] = (2, 1)
    watched.check_until_started(1)
    watched.processes[1].kill()
    watched.processes[1].wait()
    assert not watched.reloader.check()
    assert watched.gateway.process is before
    watched.files["functions/cart/main.py"] = (1, 1)
    watched.check_until_started(2)
    watched.started[1].touch()
    assert watched.reloader.check()
    assert watched.printed[-1].endswith(" for functions/cart/main.py and 1 more")
