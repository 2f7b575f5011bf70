"""Links and citations in documents resolve, and the index of decisions is complete."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks.__main__ import BENCHMARKS
from local.__main__ import COMMANDS
from shared.manifest import manifest

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS: Final = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
FOLDERS: Final = ("functions", "jobs", "shared", "local", "delivery", "benchmarks", "tests", "terraform", "docs")
KINDS: Final = {".py", ".md", ".sql", ".tf", ".yaml", ".hcl", ".tfvars", ".sh", ".proto"}
LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CITATION: Final = re.compile(r"\bdocs/[\w./-]*\.(?:md|yaml)\b")


def text_of(document: Path) -> str:
    """Return a document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sources() -> Iterator[Path]:
    """Yield the repository's text files, without those that tools leave behind (.terraform, .venv, node_modules)."""
    for file in (*ROOT.glob("*.*"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))):
        hidden = any(part.startswith(".") or part == "node_modules" for part in file.relative_to(ROOT).parts)
        if file.suffix in KINDS and file.is_file() and not hidden:
            yield file


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(document: Path) -> None:
    broken = []
    for link in LINK.findall(text_of(document)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_document_that_is_cited_exists() -> None:
    broken = {
        f"{source.relative_to(ROOT)}: {citation}"
        for source in sources()
        for citation in CITATION.findall(source.read_text())
        if not (ROOT / citation).is_file()
    }
    assert broken == set()


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [path.name[:5] for path in DECISIONS] == [f"{number:04d}-" for number in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_date_and_a_condition_to_revisit_it(decision: Path) -> None:
    heading = re.compile(
        r"# (\d+)\. .+\n\nDate: \d{4}-\d\d-\d\d\n"
        r"Status: (?:proposed|accepted|reversed|superseded by \d{4})\nRevisit when: .+\n"
    )
    match = heading.match(decision.read_text())
    assert match is not None
    assert int(match[1]) == int(decision.name[:4])


def test_the_index_lists_every_decision_with_its_title_and_status() -> None:
    rows = []
    for decision in DECISIONS:
        text = decision.read_text()
        title = text.partition("\n")[0].partition(". ")[2]
        fields = dict(re.findall(r"^(Status|Revisit when): (.+?)\.?$", text, re.MULTILINE))
        rows.append(
            f"| {decision.name[:4]} | [{title}]({decision.name}) | {fields['Status']} | {fields['Revisit when']} |"
        )
    index = (ROOT / "docs/decisions/README.md").read_text()
    # the first table, whole and in order: a row below another table is not found by a reader
    assert index.partition("|---|---|---|---|\n")[2].partition("\n\n")[0].splitlines() == rows


def commands(document: Path) -> str:
    """Return the code of a document: its blocks and the text between backticks."""
    text = document.read_text()
    return "\n".join(
        [*re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_the_repository_that_is_named_exists(document: Path) -> None:
    code = commands(document)
    modules = {name for name in re.findall(r"\bpython3? -m ([\w.]+)", code) if (ROOT / name.split(".")[0]).is_dir()}
    files = [ROOT / name.replace(".", "/") for name in modules]
    assert [
        file for file in files if not file.with_suffix(".py").is_file() and not (file / "__main__.py").is_file()
    ] == []
    assert set(re.findall(r"\./aisle ([a-z][a-z-]*)", code)) <= COMMANDS.keys()
    assert set(re.findall(r"\./aisle bench ([a-z_]+)", code)) <= BENCHMARKS.keys()


def test_the_architecture_describes_every_entry() -> None:
    table = (ROOT / "docs/architecture.md").read_text().partition("| entry | kind |")[2].partition("\n\n")[0]
    first_cells = "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))
    assert sorted(re.findall(r"`(\w+)`", first_cells)) == sorted(manifest().entries)
