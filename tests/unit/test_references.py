"""Every file, folder and module of this repository that its prose names exists.

Prose is Markdown, docstrings, and comments of Python, YAML, SQL, Terraform and pyproject.toml.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared", "jobs", "functions", "docs", "tests", "local", "delivery", "benchmarks", "clients", "terraform")
# a path from the root: a file, or a folder with or without its last slash
PATH = re.compile(rf"(?<![\w./:<-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w(?:/(?=[\s)`'\",;:.]|$))?")
# the end of a path: `catalog/products.py`
TAIL = re.compile(r"(?<![\w./:<>{}*-])\w[\w-]*(?:/[\w.-]+)*/[\w.-]+\.(?:py|md|sql)\b")
# a module: `shared.storage.catalog`, `python -m benchmarks.quality`; `local.name` is Terraform's own notation
MODULE = re.compile(r"(?<![\w./:<>{}*@-])(?:shared|jobs|functions|delivery|benchmarks|tests)(?:\.[a-z_]\w*)+")
FILE_ENDINGS = ("py", "md", "sql", "yaml", "json", "csv", "tf")
# Patterns, not names of files: `functions/<name>/`, `NNNN_name.sql`, `docs/….md`, `{area}`, `*`.
PLACEHOLDER = re.compile(r"[<>{}*…]|NNNN|YYYY")
MARKDOWN = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "clients").glob("*/README.md"))
PYTHON = (ROOT / "main.py", *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")))
HASH_COMMENTS = (
    *ROOT.glob("*.yaml"),
    ROOT / "pyproject.toml",
    *(file for file in (ROOT / "terraform").rglob("*.tf") if ".terraform" not in file.parts),
)
TRACKED = [str(file) for file in (*MARKDOWN, *PYTHON, *(ROOT / "shared" / "sql").rglob("*.sql"))]
SQL = tuple((ROOT / "shared" / "sql").rglob("*.sql"))
# files that commands write and that are never committed
NOT_COMMITTED = frozenset({"terraform/.terraform.lock.hcl", "terraform/.archives/"})


def python_prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield line numbers and lines of all docstrings and comments."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            for offset, line in enumerate(first.value.value.splitlines()):
                yield first.lineno + offset, line
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and lines of a file's prose."""
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        yield from python_prose(source)
        return
    comment = {".sql": "--", ".md": ""}.get(file.suffix, "#")
    for number, line in enumerate(source.splitlines(), start=1):
        _code, mark, text = line.partition(comment) if comment else ("", " ", line)
        if mark:
            yield number, text


def paths_in(line: str) -> list[str]:
    """Return the repository paths that a line names, without placeholders."""
    paths = []
    for match in PATH.finditer(line):
        rest = line[match.end() :]
        if not PLACEHOLDER.search(match[0]) and not PLACEHOLDER.match(rest.lstrip("/_-.")):
            paths.append(match[0].rstrip("."))
    return paths


def missing_in(line: str) -> list[str]:
    """Return the names in a line that neither a file, a folder nor a module of the repository has."""
    missing = [path for path in paths_in(line) if not ((ROOT / path).exists() or path in NOT_COMMITTED)]
    for match in TAIL.finditer(line):
        path = match[0]
        if path.partition("/")[0] not in FOLDERS and not any(file.endswith(f"/{path}") for file in TRACKED):
            missing.append(path)
    return missing + [name for name in (match[0] for match in MODULE.finditer(line)) if not is_module(name)]


def is_module(name: str) -> bool:
    """Return whether a dotted name is a package, a module, or a name in a module."""
    parts = name.split(".")
    if parts[-1] in FILE_ENDINGS:
        return True
    for length in range(2, len(parts) + 1):
        path = ROOT.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file():
            return True
        if not path.is_dir():
            return False
    return True


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("see shared/domain/formula.py, `jobs/models/`.", ["shared/domain/formula.py", "jobs/models/"]),
        ("[costs](docs/cost.md) and docs/decisions/0001-event-ids-apart.md.", ["docs/cost.md"]),
        ("functions/<name>/main.py, jobs/{name}.py, docs/decisions/<title>.md", []),
        ("gs://bucket/jobs/events.csv ../shared/storage x/functions/main.py", []),
    ],
)
def test_paths_are_found_in_prose(line: str, paths: list[str]) -> None:
    assert paths_in(line)[: len(paths)] == paths
    assert paths or paths_in(line) == []


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("shared/storage/preferences.py has the rule", ["shared/storage/preferences.py"]),
        ("as in storage/nowhere.py and catalog/products.py", ["storage/nowhere.py"]),
        ("`python -m benchmarks.quality`, shared.storage.people.erasure.erase, jobs.nothing", ["jobs.nothing"]),
        ("terraform/.archives/ is written by terraform", []),
    ],
)
def test_a_name_without_a_file_is_missing(line: str, missing: list[str]) -> None:
    assert missing_in(line) == missing


def test_prose_is_docstrings_and_comments() -> None:
    source = '"""One."""\nx = "shared/none.py"  # two\ndef f():\n    """Three\n    four."""\n'
    assert sorted(python_prose(source)) == [(1, "One."), (2, "# two"), (4, "Three"), (5, "    four.")]


def test_every_kind_of_file_is_read() -> None:
    assert len(MARKDOWN) > 20
    assert len(PYTHON) > 200
    assert len(HASH_COMMENTS) > 10
    assert len(SQL) > 5


@pytest.mark.parametrize("files", [MARKDOWN, PYTHON, HASH_COMMENTS, SQL], ids=["markdown", "python", "yaml", "sql"])
def test_every_path_named_in_prose_exists(files: tuple[Path, ...]) -> None:
    missing = [
        f"{file.relative_to(ROOT)}:{number}: {path}"
        for file in files
        if file != Path(__file__)
        for number, line in prose(file)
        for path in missing_in(line)
    ]
    assert missing == []
