"""`publishes` in functions.yaml names the topics whose messages the code of an entry writes, and no others."""

import ast
from pathlib import Path

import pytest

from shared.manifest import Entry, manifest
from shared.messages import CATALOG_CHANGES, USER_EVENTS

ROOT = Path(__file__).parents[2]
# the modules that write messages: what reaches one writes to its topic
WRITERS = {
    "shared/event_publishing.py": USER_EVENTS,
    "shared/storage/shopping/shoppers.py": USER_EVENTS,
    "shared/storage/catalog/bulk_writes.py": CATALOG_CHANGES,
}
# they publish messages that others wrote
CARRIERS = ("publish_outbox", "replay_dead_letters")


def reached(start: Path) -> set[str]:
    """Return our files that a file imports, directly or by others."""
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                path = ROOT / name.replace(".", "/")
                waiting += [one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()]
    return {file.relative_to(ROOT).as_posix() for file in seen}


def starts(entry: Entry) -> list[Path]:
    """Return the files that the code of an entry starts in. An edge imports those of the public functions by name."""
    if entry.kind == "job":
        return [ROOT / "jobs" / f"{entry.name}.py"]
    behind = manifest().public_functions if entry.kind == "edge" else ()
    return [ROOT / "functions" / one.name / "main.py" for one in (entry, *behind)]


@pytest.mark.parametrize(
    "entry", [one for one in manifest().entries.values() if one.publishes], ids=lambda one: one.name
)
def test_an_entry_publishes_what_its_code_writes(entry: Entry) -> None:
    files = {file for start in starts(entry) for file in reached(start)}
    written = {topic for file, topic in WRITERS.items() if file in files}
    assert set(entry.publishes) == (set(manifest().topics) if entry.name in CARRIERS else written)


def test_the_writers_exist() -> None:
    assert all((ROOT / file).is_file() for file in WRITERS)
