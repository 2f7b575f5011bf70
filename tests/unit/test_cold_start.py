"""Modules that a serving function must not import at its start, because they would delay every cold start."""

import subprocess
import sys

import pytest

from local.places import ROOT
from shared.manifest import manifest

LATER = (
    "argon2",
    "cryptography",
    "google.cloud.pubsub_v1",
    "grpc",
    "jwt",
    "numpy",
    "pandas",
    "pg8000",
    "redis",
    "sqlalchemy",
)


@pytest.mark.parametrize("name", [entry.name for kind in ("http", "edge") for entry in manifest().of_kind(kind)])
def test_a_function_imports_at_its_start_only_what_every_answer_needs(name: str) -> None:
    probe = f"import sys, functions.{name}.main; print(*sorted(set(sys.modules) & set({LATER!r})))"
    process = subprocess.run(
        [sys.executable, "-P", "-c", probe], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == []
