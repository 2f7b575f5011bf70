"""Every error has the problem document's shape, is in the tree of the docstring, and is documented."""

import re
from pathlib import Path

import pytest

from shared import errors
from shared.errors import AppError

DOCS = Path(__file__).parents[3] / "docs" / "problems.md"


def tree(root: type[AppError] = AppError) -> list[type[AppError]]:
    return [root, *(error for child in root.__subclasses__() for error in tree(child))]


OURS = [error for error in tree() if error.__module__ == "shared.errors"]


@pytest.mark.parametrize("error", OURS)
def test_every_error_has_the_problem_shape(error: type[AppError]) -> None:
    problem = error("What to do next.").problem()
    assert problem["type"] == f"urn:aisle:problem:{error.slug}"
    assert problem["status"] == error.status
    assert 400 <= error.status < 600
    assert problem["title"]
    assert problem["detail"] == "What to do next."


def test_slugs_are_unique() -> None:
    slugs = [error.slug for error in OURS]
    assert len(slugs) == len(set(slugs))


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    listed = re.findall(r"[*+] (\w+)\s+(\d{3}) ([a-z-]+)", errors.__doc__ or "")
    assert sorted(listed) == sorted((error.__name__, str(error.status), error.slug) for error in OURS)


def test_every_problem_is_documented_with_its_status_and_title() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| ([^|]+) \|", DOCS.read_text(), flags=re.MULTILINE)
    assert sorted(rows) == sorted((error.slug, str(error.status), error.title) for error in OURS)
