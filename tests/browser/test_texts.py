"""Each language has the texts that the pages name, and no others. Needs no browser."""

import re
from pathlib import Path

import pytest

from local.places import ROOT

WEB = ROOT / "web"
KEY = re.compile(r'^  "([\w.-]+)":', re.MULTILINE)
# t("key"), and a choice between two: t(isNew ? "a" : "b")
NAMED = re.compile(r'\bt\(\s*(?:[^"`()]*\?\s*)?"([\w.-]+)"(?:\s*:\s*"([\w.-]+)")?')
# t(`order.state.${state}`): some text begins like that
BEGINNING = re.compile(r"\bt\(\s*`([\w.-]+\.)\$\{")
FOLDERS = [path.parent for path in sorted(WEB.rglob("texts/en.js"))]


def keys(file: Path) -> list[str]:
    return KEY.findall(file.read_text())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(WEB)))
def test_each_language_has_the_same_texts(folder: Path) -> None:
    english = keys(folder / "en.js")
    assert len(english) > 10
    assert len(set(english)) == len(english)
    for file in folder.glob("*.js"):
        assert keys(file) == english, file


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(WEB)))
def test_every_text_that_a_page_names_exists(folder: Path) -> None:
    known = {*keys(WEB / "common/texts/en.js"), *keys(folder / "en.js")}
    missing = []
    for file in folder.parent.glob("*.js"):
        source = file.read_text()
        named = {key for match in NAMED.findall(source) for key in match if key}
        missing += [f"{file.name}: {key}" for key in sorted(named - known)]
        missing += [
            f"{file.name}: {start}…"
            for start in BEGINNING.findall(source)
            if not any(k.startswith(start) for k in known)
        ]
    assert missing == []
