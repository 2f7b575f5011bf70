"""`./aisle` installs what a command needs: serving without the tools of developers, which their commands add."""

import ast
import re
import stat
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from local.__main__ import WITH_OWN_HELP
from local.places import ROOT

SERVING, DEVELOPING = ROOT / "local/requirements.txt", ROOT / "dev-requirements.txt"
# the command line's developing commands, and what only they import
DEVELOPERS = ("checks.py", "audit.py", "lock.py", "openapi.py", "clients", "chaos")
# stands for the Python of a virtual environment: writes down what it is called with
PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >>"{calls}"
"""


def pins(file: Path) -> set[str]:
    """Return the pinned packages of a list, without their hashes."""
    return {line.strip(" \\") for line in file.read_text().splitlines() if re.match(r"[a-zA-Z0-9]", line)}


class Environment:
    """A virtual environment that has installed one of the lists, with a stand-in for its Python."""

    def __init__(self, home: Path, installed: Path | None) -> None:
        self.home, self.calls = home / "venv", home / "calls"
        (self.home / "bin").mkdir(parents=True)
        python = self.home / "bin/python"
        python.write_text(PYTHON.format(calls=self.calls))
        python.chmod(stat.S_IRWXU)
        self.record = self.home / "installed-requirements.txt"
        if installed is not None:
            self.record.write_bytes(installed.read_bytes())

    def run(self, *arguments: str) -> list[str]:
        """Run a command and return the lists that it installed. Every installation requires hashes."""
        self.calls.unlink(missing_ok=True)
        subprocess.run(
            [ROOT / "aisle", *arguments],
            env={"AISLE_VENV": str(self.home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=60,
            check=True,
        )
        *installations, command = [
            line for line in self.calls.read_text().splitlines() if " -c import pip" not in f" {line}"
        ]
        assert command == f"-P -m local {' '.join(arguments)}".strip()
        assert all(" --require-hashes --no-deps " in line for line in installations)
        return [line.rpartition(f"-r {ROOT}/")[2] for line in installations]


@pytest.mark.parametrize("command", ["up", "status", "job", "load", "evaluate"])
def test_serving_installs_no_tools_of_developers(command: str, tmp_path: Path) -> None:
    environment = Environment(tmp_path, None)
    assert environment.run(command) == ["local/requirements.txt"]
    assert environment.record.read_bytes() == SERVING.read_bytes()
    assert environment.run(command) == []


@pytest.mark.parametrize("command", ["test", "check", "audit", "bench", "chaos", "stress", "clients", "lock"])
def test_a_developer_s_command_installs_the_rest_on_first_use(command: str, tmp_path: Path) -> None:
    environment = Environment(tmp_path, SERVING)
    assert environment.run(command) == ["dev-requirements.txt"]
    assert environment.run(command) == []
    # the longer list contains the shorter one
    assert environment.run("up") == []


@pytest.mark.parametrize("command", [*sorted(WITH_OWN_HELP), "job"])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_that_a_program_writes_installs_what_it_imports(command: str, option: str, tmp_path: Path) -> None:
    assert Environment(tmp_path, None).run(command, option)


def test_a_list_of_another_release_is_installed_again(tmp_path: Path) -> None:
    environment = Environment(tmp_path, None)
    environment.record.write_text(DEVELOPING.read_text() + "another==1.0\n")
    assert environment.run("up") == ["local/requirements.txt"]
    # what the tools of that release needed may be gone
    assert environment.run("test") == ["dev-requirements.txt"]


def test_the_list_of_developers_contains_the_others_with_the_same_versions() -> None:
    assert pins(SERVING) < pins(DEVELOPING)
    assert pins(ROOT / "jobs/requirements.txt") < pins(SERVING)
    assert pins(ROOT / "requirements.txt") < pins(SERVING)
    # every pin has its hashes
    blocks = SERVING.read_text().split("\n")
    assert all(blocks[number + 1].strip().startswith("--hash") for number, line in enumerate(blocks) if "==" in line)


def third_party(file: Path) -> set[str]:
    """Return the packages from outside the repository that a file imports, also those imported inside functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


def test_what_serves_imports_only_packages_of_its_list() -> None:
    listed = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins(SERVING)}
    distributions = packages_distributions()
    folder = ROOT / "local"
    files = [
        file
        for file in folder.rglob("*.py")
        if file.relative_to(folder).parts[0] not in DEVELOPERS and "__pycache__" not in file.parts
    ]
    assert len(files) > 40
    for file in files:
        for name in third_party(file):
            if not (ROOT / name).is_dir() and name != "main":
                provided = {one.lower().replace("_", "-") for one in distributions.get(name, [name])}
                assert provided & listed, f"{file.relative_to(ROOT)} imports {name}, which ./aisle up does not install"
