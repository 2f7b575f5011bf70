"""What a change of a file restarts, and what keeps the running code."""

import os
import py_compile
import subprocess
import time
from collections.abc import Mapping
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


def test_what_changes_while_a_process_starts_is_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, tuple[int, int]] = {"functions/products/main.py": (1, 1), "shared/auth.py": (1, 1)}
    monkeypatch.setattr(reload, "versions", lambda: dict(files))
    started: list[Path] = []
    parts: list[Part] = []
    printed: list[str] = []

    def start(settings: Mapping[str, str]) -> Part:
        if settings:
            started.append(Path(settings[READY_FILE]))
        process = subprocess.Popen(["sleep", "60"], start_new_session=True)
        parts.append(Part("Gateway", process, tmp_path / "log"))
        return parts[-1]

    def check_until_started(count: int) -> None:
        deadline = time.monotonic() + 30
        while len(started) < count:
            assert time.monotonic() < deadline, printed
            reloader.check()

    gateway = start({})
    reloader = reload.Reloader({reload.GATEWAY: gateway}, {reload.GATEWAY: start}, manifest(), tmp_path, printed.append)
    try:
        files["functions/products/main.py"] = (2, 1)
        check_until_started(1)
        # the new process serves, and the file is saved again before anybody has looked
        started[0].touch()
        files["functions/products/main.py"] = (3, 1)
        assert reloader.check()
        check_until_started(2)
        started[1].touch()
        assert reloader.check()
        # nothing is left to do
        assert not reloader.check()
        assert len(started) == 2
        assert gateway.process is parts[2].process
        assert [line.rpartition(" for ")[2] for line in printed] == ["functions/products/main.py"] * 2
    finally:
        for part in parts:
            part.process.kill()
            part.process.wait()
