"""The folders and files of tests have the names of the code that they test, so that a reader finds one from the other.

A folder below tests/unit or tests/integration has the name of a folder of the code, which lies below shared/, jobs/,
functions/ or the root. A unit test ``test_<module>.py`` tests the module of that name in that folder. Files directly
in tests/unit and tests/integration hold promises of the whole repository.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = (ROOT, ROOT / "shared", ROOT / "jobs", ROOT / "functions")
# promises of several modules: the contract of all algorithms, the documentation and the agreement of all readers of
# files, the table of shared/auth.py, the lifetime of tokens
SHARED_BY_MODULES = frozenset(
    {
        "models/test_contract.py",
        "tables/test_documentation.py",
        "data/test_readers_agree.py",
        "shared/test_authorise.py",
        "shared/test_token_expiry.py",
    }
)


def code_folders(folder: Path) -> list[Path]:
    """Return the folders of the code that a folder of tests, relative to its tier, may stand for."""
    return [code / folder for code in CODE if (code / folder).is_dir()]


@pytest.mark.parametrize("tier", ["unit", "integration"])
def test_every_folder_of_tests_has_the_name_of_a_folder_of_the_code(tier: str) -> None:
    folders = {file.parent.relative_to(ROOT / "tests" / tier) for file in (ROOT / "tests" / tier).rglob("test_*.py")}
    assert len(folders) > 10
    assert [str(folder) for folder in sorted(folders) if not code_folders(folder)] == []


def test_every_unit_test_has_the_name_of_a_module_in_the_folder_that_it_mirrors() -> None:
    tests = ROOT / "tests" / "unit"
    without_module = []
    for file in tests.rglob("test_*.py"):
        relative = file.relative_to(tests)
        module = file.stem.removeprefix("test_")
        if relative.parent == Path() or relative.as_posix() in SHARED_BY_MODULES:
            continue
        if not any(
            (code / f"{module}.py").is_file() or (code / module).is_dir() for code in code_folders(relative.parent)
        ):
            without_module.append(relative.as_posix())
    assert without_module == []
