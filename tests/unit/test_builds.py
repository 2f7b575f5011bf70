"""Cloud Build checks, audits and tests before it deploys, with the commands that run by hand."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMMANDS = ("check", "audit", "test")


def steps(name: str) -> dict[str, Any]:
    return {step["id"]: step for step in yaml.safe_load((ROOT / name).read_text())["steps"]}


@pytest.mark.parametrize("name", ["cloudbuild.yaml", "cloudbuild.pull-request.yaml"])
def test_every_build_checks_audits_and_tests(name: str) -> None:
    found = steps(name)
    for command in COMMANDS:
        assert found[command]["script"].splitlines()[-1] == f"./aisle {command}"
        assert "set -euo pipefail" in found[command]["script"]


def test_the_image_of_spark_is_pushed_before_the_job_that_names_it_is_deployed() -> None:
    found = steps("cloudbuild.yaml")
    assert "spark-image" in found["deploy"]["waitFor"]
    assert {*COMMANDS, "plan"} <= set(found["spark-image"]["waitFor"])
    image = (ROOT / "jobs/spark/Dockerfile").read_text()
    for copied in ("jobs/requirements.txt", "shared", "jobs"):
        assert f"COPY {copied} /opt/aisle" in image


def test_nothing_is_deployed_before_all_have_passed() -> None:
    assert {*COMMANDS, "plan"} <= set(steps("cloudbuild.yaml")["deploy"]["waitFor"])
