"""`./aisle up --reload`: a part whose code changed is replaced by a new process.

The old process serves until the new one is ready, and both share the sockets, so no request and no event is lost. If a
file cannot be compiled, or the new process ends, the old one stays until the next change.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.places import ROOT
from local.processes import READY_FILE, Part
from shared.manifest import Manifest

# the code of the parts; the files below web/ are read anew whenever they change
FOLDERS: Final = ("functions", "jobs", "shared")
FILES: Final = ("main.py", "functions.yaml")
SUFFIXES: Final = (".py", ".sql", ".txt")
# the tables, topics, subscriptions and schedules of the running system follow them
OF_THE_START: Final = ("shared/sql/migrations/", "functions.yaml")
# an editor saves several files, and some write a file twice
QUIET_S: Final = 0.1
# a process that has not ended by then is killed
RETIRING_S: Final = 20.0
GATEWAY, EVENTS, JOBS = "gateway", "events", "jobs"

Version = tuple[int, int]


def versions(root: Path = ROOT) -> dict[str, Version]:
    """Return each file of the code, by its path below ``root``, with the time of its last change and its size."""
    found: dict[str, Version] = {}

    def add(entry: "os.DirEntry[str]") -> None:
        try:
            status = entry.stat()
        except OSError:
            # removed meanwhile, or a link to nothing: editors lock files so
            return
        found[os.path.relpath(entry.path, root)] = (status.st_mtime_ns, status.st_size)

    def walk(folder: str) -> None:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name != "__pycache__":
                        walk(entry.path)
                elif entry.name.endswith(SUFFIXES):
                    add(entry)

    for folder in FOLDERS:
        walk(str(root / folder))
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name in FILES:
                add(entry)
    return found


def changed(before: Mapping[str, Version], after: Mapping[str, Version]) -> set[str]:
    """Return the paths of the files that were changed, added or removed."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def parts_of(path: str, deployed: Manifest) -> frozenset[str]:
    """Return the parts that run the code of a file."""
    folder, _, rest = path.partition("/")
    if folder == "functions" and "/" in rest:
        entry = deployed.entries.get(rest.partition("/")[0])
        kind = None if entry is None else entry.kind
        # the gateway does here what an edge does in the cloud
        return frozenset({GATEWAY} if kind == "http" else {EVENTS} if kind == "event" else ())
    if folder == "jobs":
        return frozenset({JOBS})
    return frozenset({GATEWAY, EVENTS, JOBS})


def fault_of(paths: Iterable[str], root: Path = ROOT) -> str | None:
    """Return file, line and message of the first file that cannot be compiled, if any."""
    for path in sorted(paths):
        if path.endswith(".py"):
            try:
                compile((root / path).read_bytes(), path, "exec", dont_inherit=True)
            except FileNotFoundError:
                continue
            except SyntaxError as error:
                return f"{path}:{error.lineno or 1}: {error.msg}"
            except ValueError as error:
                return f"{path}:1: {error}"
    return None


def forget_compiled(paths: Iterable[str], root: Path = ROOT) -> None:
    """Delete the compiled form of files: Python trusts it if a file has kept its size and changed within a second."""
    for path in paths:
        if path.endswith(".py"):
            Path(importlib.util.cache_from_source(str(root / path))).unlink(missing_ok=True)


@dataclass
class Successor:
    """A process that will take the place of a part's; ``paths`` are the files that it is started for."""

    part: Part
    ready: Path
    because: str
    paths: set[str]
    started: float


class Reloader:
    """Watches the code of a running system.

    ``starts`` starts a process of a part, in its environment and the settings that it is given. ``folder`` is for files
    that say when a process serves.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        starts: Mapping[str, Callable[[Mapping[str, str]], Part]],
        deployed: Manifest,
        folder: Path,
        report: Callable[[str], None],
    ) -> None:
        self.parts, self.starts, self.deployed, self.folder, self.report = parts, starts, deployed, folder, report
        # before the parts are started, which import what they find then
        self.seen = versions()
        self.quiet_at: float | None = None
        # files that changed since a process of the parts that run them was last started, or that it failed with
        self.dirty: dict[str, set[str]] = {}
        self.successors: dict[str, Successor] = {}
        self.retiring: list[tuple[Part, float]] = []

    def check(self) -> bool:
        """Notice changes and go on with what was begun; return whether a part has a new process."""
        now = time.monotonic()
        current = versions()
        if paths := changed(self.seen, current):
            self.seen, self.quiet_at = current, now + QUIET_S
            self._notice(paths)
        if self.quiet_at is not None and now >= self.quiet_at:
            self.quiet_at = None
            self._start()
        self._reap(now)
        finished = [self._finish(key) for key in list(self.successors)]
        return any(finished)

    def _notice(self, paths: set[str]) -> None:
        for path in paths:
            if path.startswith(OF_THE_START):
                self.report(f"{path} takes effect with the next start: stop with Ctrl-C, then ./aisle up --reload")
                continue
            for key in parts_of(path, self.deployed):
                self.dirty.setdefault(key, set()).add(path)

    def _start(self) -> None:
        paths = {path for several in self.dirty.values() for path in several}
        if (fault := fault_of(paths)) is not None:
            self.report(f"{fault}. The running code stays until this file is saved again.")
            return
        forget_compiled(paths)
        # what changes while a process starts is for the next one
        dirty, self.dirty = self.dirty, {}
        for key, several in dirty.items():
            if (earlier := self.successors.pop(key, None)) is not None:
                several.update(earlier.paths)
                self._retire(earlier.part)
            ready = self.folder / f"{key}.ready"
            ready.unlink(missing_ok=True)
            first, *more = sorted(several)
            because = f"{first} and {len(more)} more" if more else first
            started = time.monotonic()
            part = self.starts[key]({READY_FILE: str(ready)})
            self.successors[key] = Successor(part, ready, because, several, started)

    def _finish(self, key: str) -> bool:
        successor = self.successors[key]
        part = self.parts[key]
        if not successor.part.running():
            del self.successors[key]
            self.dirty.setdefault(key, set()).update(successor.paths)
            self.report(f"{successor.because}: the new process {successor.part.obituary()}")
            self.report(f"{part.name}: the running code stays until the next change.")
            return False
        if not successor.ready.exists():
            return False
        del self.successors[key]
        old = Part(part.name, part.process, part.log, part.port, part.stop_signal, part.started)
        part.replace(successor.part)
        self._retire(old)
        took_s = time.monotonic() - successor.started
        self.report(f"{part.name}: restarted in {took_s:.1f} s for {successor.because}")
        return True

    def _retire(self, part: Part) -> None:
        part.ask_to_stop()
        self.retiring.append((part, time.monotonic() + RETIRING_S))

    def _reap(self, now: float) -> None:
        for part, until in list(self.retiring):
            if part.running() and now >= until:
                part.stop(0)
            if not part.running():
                self.retiring.remove((part, until))

    def stop(self) -> None:
        """Stop the processes that no part has: new ones that are not ready, and old ones that have not ended."""
        parts = [successor.part for successor in self.successors.values()] + [part for part, _ in self.retiring]
        for part in parts:
            part.ask_to_stop()
        for part in parts:
            part.stop()
        self.successors.clear()
        self.retiring.clear()
