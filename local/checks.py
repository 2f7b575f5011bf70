"""Tests, checks and benchmarks: the same commands by hand and in CI."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from local.places import ROOT

FOLDERS = ("main.py", "functions", "jobs", "shared", "local", "benchmarks", "tests")


def test(arguments: Sequence[str]) -> int:
    """Run pytest: all of it, or what the arguments choose (relative to where one is)."""
    # what is set for a running system is not for tests, which start their own
    environment = {name: value for name, value in os.environ.items() if name not in ("FUNCTION_TARGET", "AISLE_HOME")}
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "--rootdir",
        str(ROOT),
        "-c",
        str(ROOT / "pyproject.toml"),
        *([] if one_process(arguments) else ["-n", str(max(2, os.cpu_count() or 1)), "--dist", "loadfile"]),
        *arguments,
    ]
    if not any(not argument.startswith("-") for argument in arguments):
        command.append(str(ROOT / "tests"))
    return subprocess.run(command, env=environment, check=False).returncode


def one_process(arguments: Sequence[str]) -> bool:
    """Whether tests run in this process: as somebody wants who debugs or chooses a few."""
    return any(
        argument in ("-n", "--pdb", "-s", "-x", "-k", "--collect-only") or "::" in argument for argument in arguments
    )


def check() -> int:
    """Run every check, also after one failed; print which failed."""
    folders = [name for name in FOLDERS if (ROOT / name).exists()]
    module = [sys.executable, "-m"]
    checks: dict[str, list[str]] = {
        "format (ruff format --check)": [*module, "ruff", "format", "--check", *folders],
        "lint (ruff check)": [*module, "ruff", "check", *folders],
        "types (mypy --strict)": [*module, "mypy", "--strict"],
        # its module does nothing when it is run
        "imports (lint-imports)": [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
        ],
    }
    terraform = shutil.which("terraform")
    if terraform and (ROOT / "terraform").is_dir():
        checks["terraform fmt"] = [terraform, "fmt", "-check", "-recursive", "terraform"]
    failed = []
    for name, command in checks.items():
        print(f"== {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"Failed: {', '.join(failed)}" if failed else "All checks passed.")
    return 1 if failed else 0


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks; file names in the arguments are relative to where one is."""
    return subprocess.run([sys.executable, "-P", "-m", "benchmarks", *arguments], check=False).returncode
