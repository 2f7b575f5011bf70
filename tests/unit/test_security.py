"""SECURITY.md: every risk of OWASP's list has its row, no cell is empty, and every test that it names exists."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
RISKS: Final = (
    "API1 Broken object level authorization",
    "API2 Broken authentication",
    "API3 Broken object property level authorization",
    "API4 Unrestricted resource consumption",
    "API5 Broken function level authorization",
    "API6 Unrestricted access to sensitive business flows",
    "API7 Server side request forgery",
    "API8 Security misconfiguration",
    "API9 Improper inventory management",
    "API10 Unsafe consumption of APIs",
)


def problems(document: str) -> list[str]:
    """Return what is wrong with the table: missing or empty rows, and tests that do not exist."""
    table = document.partition("| risk | held by | tests | left over |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    wrong = []
    if [row[0] for row in rows] != list(RISKS):
        wrong.append(f"rows: {[row[0] for row in rows]}")
    for row in rows:
        if len(row) != 4 or not all(len(cell) > 5 for cell in row):
            wrong.append(f"{row[0]}: an empty cell")
            continue
        files = re.findall(r"`([^`]+)`", row[2])
        if not files:
            wrong.append(f"{row[0]}: no test")
        wrong += [
            f"{row[0]}: {file} has no tests"
            for file in files
            if not (ROOT / file).is_file() or not re.search(r"^def test_", (ROOT / file).read_text(), re.MULTILINE)
        ]
    return wrong


def test_every_risk_has_its_row_and_every_test_in_it_exists() -> None:
    assert problems((ROOT / "SECURITY.md").read_text()) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("| API7 Server side request forgery |", "| API7 Something |", "rows: "),
        ("`tests/unit/test_parsers.py`", "`tests/unit/test_nothing.py`", "tests/unit/test_nothing.py has no tests"),
        ("`tests/unit/test_parsers.py`", "`tests/examples.py`", "tests/examples.py has no tests"),
        (" | none known |", " |  |", "API9 Improper inventory management: an empty cell"),
    ],
)
def test_a_row_that_holds_nothing_is_found(before: str, after: str, problem: str) -> None:
    document = (ROOT / "SECURITY.md").read_text()
    assert before in document
    assert any(problem in wrong for wrong in problems(document.replace(before, after)))
