"""Compile the four requirement files from `pyproject.toml`, with hashes.

The longest list is resolved first and constrains the others, so a package has the same version in tests, jobs and
serving functions. In the opposite order, the shortest list takes versions that a job's dependencies then refuse.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.errors import Refused
from local.places import ROOT

# the output, the extras of pyproject.toml in it, and the outputs that constrain it
FILES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("dev-requirements.txt", ("jobs", "local", "dev"), ()),
    ("local/requirements.txt", ("jobs", "local"), ("dev-requirements.txt",)),
    ("jobs/requirements.txt", ("jobs",), ("dev-requirements.txt",)),
    ("requirements.txt", (), ("dev-requirements.txt",)),
)

# Hashes come from PyPI itself, even if this machine installs from a mirror: the files are for every machine.
INDEX = "https://pypi.org/simple"
OVERRIDES = ("UV_", "PIP_")


def lock(upgrade: bool = False) -> None:
    """Write the requirement files. With ``upgrade`` every pin moves to its newest version, otherwise
    only pins that no longer satisfy `pyproject.toml` change.

    Raises Refused, and changes no file, if a list cannot be resolved.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OVERRIDES)}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        shutil.copy(ROOT / "pyproject.toml", scratch)
        for folder_name in ("jobs", "local"):
            (scratch / folder_name).mkdir()
        for name, extras, constraints in FILES:
            if (ROOT / name).exists():
                shutil.copy(ROOT / name, scratch / name)
            command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--output-file", name, "--quiet"]
            command += ["--universal", "--generate-hashes", "--python-version", "3.11", "--no-config"]
            command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
            command += ["--default-index", INDEX]
            command += [argument for extra in extras for argument in ("--extra", extra)]
            command += [argument for constraint in constraints for argument in ("--constraint", constraint)]
            command += ["--upgrade"] if upgrade else []
            print(f"Resolving {name} ...", flush=True)
            process = subprocess.run(
                command,
                cwd=scratch,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            if process.returncode:
                raise Refused(
                    f"{name} cannot be resolved, so no file was changed. Change pyproject.toml; uv says:\n"
                    f"{process.stderr.strip()[-3000:]}"
                )
        for name, _, _ in FILES:
            shutil.copy(scratch / name, ROOT / name)
    print("Wrote " + ", ".join(name for name, _, _ in FILES))
