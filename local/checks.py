"""Tests, checks and benchmarks: the same commands by hand and in CI."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from local.places import ROOT

FOLDERS = ("main.py", "functions", "jobs", "shared", "local", "delivery", "benchmarks", "clients", "tests")


def test(arguments: Sequence[str]) -> int:
    """Run pytest on all tests, or on those that the arguments name (paths relative to the current folder)."""
    # tests start systems of their own, so the settings of a running one must not reach them
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
        *([] if in_one_process(arguments) else ["-n", str(max(2, os.cpu_count() or 1)), "--dist", "loadfile"]),
        *arguments,
    ]
    if not any(not argument.startswith("-") for argument in arguments):
        # a browser's loop of events stays in its process, and other tests start their own
        command += [str(ROOT / "tests"), f"--ignore={ROOT / 'tests' / 'browser'}"]
    return subprocess.run(command, env=environment, check=False).returncode


def in_one_process(arguments: Sequence[str]) -> bool:
    """Whether to run tests in this process: for a debugger, or for a few named tests."""
    return any(
        argument in ("-n", "--pdb", "-s", "-x", "-k", "--collect-only") or "::" in argument for argument in arguments
    )


def check() -> int:
    """Run every check, even after a failure, and print which failed."""
    folders = [name for name in FOLDERS if (ROOT / name).exists()]
    module = [sys.executable, "-m"]
    checks: dict[str, list[str]] = {
        "format (ruff format --check)": [*module, "ruff", "format", "--check", *folders],
        "lint (ruff check)": [*module, "ruff", "check", *folders],
        "types (mypy --strict)": [*module, "mypy", "--strict"],
        # importlinter has no __main__ module
        "imports (lint-imports)": [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
        ],
    }
    checks["clients (./aisle clients --check)"] = [*module, "local", "clients", "--check"]
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
    """Run the benchmarks; paths in the arguments are relative to the current folder."""
    return subprocess.run([sys.executable, "-P", "-m", "benchmarks", *arguments], check=False).returncode


def stress(arguments: Sequence[str]) -> int:
    """Run the mixed load on functions served as deployed."""
    return subprocess.run([sys.executable, "-P", "-m", "benchmarks.stress", *arguments], check=False).returncode
