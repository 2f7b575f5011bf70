"""The contents of the functions' archives, computed from the patterns in terraform/functions.tf without Terraform."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from local.places import ROOT
from shared.manifest import Entry, manifest

SOURCE = ROOT / "terraform/functions.tf"


class Section(NamedTuple):
    """The text between two marks of functions.tf."""

    start: str
    end: str


SECTIONS = {
    "common": Section("common = setunion(", "files = {"),
    "job": Section('entry.kind == "job" ? setunion(', "entry.heavy ? setunion("),
    "heavy": Section("entry.heavy ? setunion(", ") : []"),
    "http": Section(") : setunion(", 'entry.kind == "edge" ? setunion('),
    "edge": Section('entry.kind == "edge" ? setunion(', 'contains(entry.paths, "/") ? '),
    "pages": Section('contains(entry.paths, "/") ? ', "contents = {"),
}


@dataclass(frozen=True)
class Patterns:
    """The `fileset` patterns of all archives, of jobs, of heavy jobs, of the others, of an edge, and of the pages.

    `{}` is the entry's name; in those of an edge, the name of each public function.
    """

    common: tuple[str, ...]
    job: tuple[str, ...]
    heavy: tuple[str, ...]
    http: tuple[str, ...]
    edge: tuple[str, ...]
    pages: tuple[str, ...]

    @classmethod
    def read(cls) -> "Patterns":
        """Read the patterns from functions.tf, all of which lie in the sections."""
        text = SOURCE.read_text()
        by_section = {name: cls._in_section(text, section) for name, section in SECTIONS.items()}
        patterns = cls(**by_section)
        assert sum(map(len, by_section.values())) == text.count("fileset(local.root,")
        return patterns

    @staticmethod
    def _in_section(text: str, section: Section) -> tuple[str, ...]:
        start = text.index(section.start) + len(section.start)
        part = text[start : text.index(section.end, start)]
        return tuple(re.findall(r'fileset\(local\.root, "([^"]+)"\)', re.sub(r"\$\{(name|public)\}", "{}", part)))

    def without(self, pattern: str) -> "Patterns":
        """Return the patterns without one of them."""
        return replace(
            self, **{name: tuple(kept for kept in getattr(self, name) if kept != pattern) for name in SECTIONS}
        )

    def files(self, entry: Entry) -> dict[str, Path]:
        """Return the files of an entry's archive: name within the archive to the file in the repository."""
        patterns: Iterable[str] = self.common + (self.job if entry.kind == "job" else self.http)
        if entry.heavy:
            patterns = (*patterns, *self.heavy)
        if "/" in entry.paths:
            patterns = (*patterns, *self.pages)
        named = [pattern.format(entry.name) for pattern in patterns]
        if entry.kind == "edge":
            named += [pattern.format(public.name) for pattern in self.edge for public in manifest().public_functions]
        files = {
            path.relative_to(ROOT).as_posix(): path
            for pattern in named
            for path in ROOT.glob(pattern)
            if path.is_file()
        }
        return files | {"requirements.txt": ROOT / ("jobs/requirements.txt" if entry.heavy else "requirements.txt")}
