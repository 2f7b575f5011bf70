"""The files of others in web/vendor are those that vendored.json records, with their licences."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from local.places import ROOT

FOLDER = ROOT / "web/vendor"
RECORD = "vendored.json"
ENTRIES = {entry["file"]: entry for entry in json.loads((FOLDER / RECORD).read_text())["files"]}
IMPORT = re.compile(r"""(?:from|import)\s*["']([^"']+)["']""")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_every_file_is_recorded() -> None:
    licences = {entry["licence_file"] for entry in ENTRIES.values()}
    assert {path.name for path in FOLDER.iterdir()} == {RECORD, *ENTRIES, *licences}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_file_is_as_it_was_recorded_and_says_where_it_comes_from(name: str) -> None:
    entry = ENTRIES[name]
    assert digest(FOLDER / name) == entry["sha256"]
    assert entry["version"] in entry["source"]
    assert entry["source"].startswith("https://registry.npmjs.org/")
    assert {"MIT": "MIT License", "Apache-2.0": "Apache License"}[entry["licence"]] in (
        FOLDER / entry["licence_file"]
    ).read_text()


@pytest.mark.parametrize("name", [name for name in ENTRIES if name.endswith(".js")])
def test_a_module_imports_only_files_beside_it(name: str) -> None:
    text = (FOLDER / name).read_text()
    for target in IMPORT.findall(text):
        assert target.startswith("./"), target
        assert (FOLDER / target).is_file(), target
    assert "://" not in re.sub(r"/\*.*?\*/|http://www\.w3\.org/[\w/]+", "", text, flags=re.DOTALL)
    assert "sourceMappingURL" not in text
