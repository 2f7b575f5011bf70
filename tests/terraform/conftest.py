"""Tests of `terraform/` on its own plan: real Terraform, a stand-in for the provider, no network, no cloud.

They need a Terraform that plans offline: the command that AISLE_TERRAFORM names, or the tool that CI has beside the
repository. Elsewhere they are skipped; the rest of ``./aisle test`` needs neither.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.places import ROOT
from shared.manifest import Manifest, manifest

TOOL = Path(os.environ.get("AISLE_TERRAFORM") or ROOT.parent / "shared/tools/terraform/tf")
PROJECT = "shop-test-123"
PARTS = ("functions", "jobs", "shared", "terraform", "web")
FILES = ("functions.yaml", "main.py", "requirements.txt")
DEADLINE_S = 600
# secrets made up by the stand-in for ephemeral and sensitive values: none may be in a plan
SECRET_VALUES = ("stub-result", "stub-auth_string")


class Plan:
    """A plan as `terraform show -json` prints it."""

    def __init__(self, document: dict[str, Any], text: str) -> None:
        self.text = text
        self.document = document
        self.resources = list(self._walk(document["planned_values"]["root_module"]))

    def _walk(self, module: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from self._walk(child)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the values of all resources of a type by their addresses."""
        return {one["address"]: one["values"] for one in self.resources if one["type"] == kind}

    def by_key(self, kind: str, name: str) -> dict[str, dict[str, Any]]:
        """Return the values of the instances of one resource by their keys."""
        found = [one for one in self.resources if one["type"] == kind and one["name"] == name]
        return {str(one.get("index", "")): one["values"] for one in found}

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return each function's values by its name in functions.yaml."""
        return {address.split('"')[1]: values for address, values in self.of("google_cloudfunctions2_function").items()}

    def inside(self, kind: str) -> dict[str, list[dict[str, Any]]]:
        """Return the values of a type within the function module, by the function's name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for address, values in self.of(kind).items():
            if address.startswith("module.function["):
                found.setdefault(address.split('"')[1], []).append(values)
        return found

    def archives(self) -> dict[str, dict[str, str]]:
        """Return the content of each archive: file name to text, as the archive provider writes it."""
        found = {}
        for one in self.document["prior_state"]["values"]["root_module"]["resources"]:
            if one["type"] == "archive_file":
                found[one["index"]] = {part["filename"]: part["content"] for part in one["values"]["source"]}
        return found


class Terraform:
    """Terraform on a copy of what it reads, with its state on this disk."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "repository/terraform"
        for name in PARTS:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".terraform*", ".archives", "*.tfstate*")
                shutil.copytree(ROOT / name, self.folder.parent / name, ignore=ignored)
        for name in FILES:
            shutil.copy(ROOT / name, self.folder.parent / name)
        (self.folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        self.run("init", "-input=false", "-no-color")

    def run(self, *arguments: str) -> str:
        environment = dict(os.environ) | {"TF_DATA_DIR": str(self.home / "data"), "TF_IN_AUTOMATION": "1"}
        done = subprocess.run(
            [TOOL, f"-chdir={self.folder}", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def plan(self, *arguments: str) -> Plan:
        file = self.home / "plan"
        self.run(
            "plan", "-input=false", "-no-color", "-lock=false", f"-out={file}", f"-var=project_id={PROJECT}", *arguments
        )
        text = self.run("show", "-json", str(file))
        return Plan(json.loads(text), text)


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """A Terraform that plans offline."""
    if not TOOL.exists():
        pytest.skip(
            "no Terraform that plans without a network: set AISLE_TERRAFORM to one (CI has it; `terraform test` with "
            "mock providers covers a part, where the providers can be downloaded)"
        )
    return Terraform(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def dev(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of an empty project with nothing but its id; made once for all processes that run tests."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = tmp_path_factory.getbasetemp()
    kept = (folder if alone else folder.parent) / "dev-plan.json"
    with (kept.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            text = kept.read_text()
            return Plan(json.loads(text), text)
        plan = terraform.plan("-var-file=envs/dev.tfvars")
        kept.write_text(plan.text)
        return plan


@pytest.fixture(scope="session")
def prod(terraform: Terraform) -> Plan:
    """The plan of production with everything on. Archives are those of dev, so none are made."""
    pinned = {name: f"{name}/earlier.zip" for name in manifest().entries}
    return terraform.plan(
        "-var-file=envs/prod.tfvars",
        f"-var=pinned_sources={json.dumps(pinned)}",
        "-var=domain=shop.example.com",
        "-var=alert_email=oncall@example.com",
        "-var=billing_account=012345-6789AB-CDEF01",
        '-var=repository={"owner"="example","name"="shop"}',
        "-var=state_bucket=shop-test-123-state",
        '-var=operators=["user:ada@example.com"]',
        "-var=vpc_egress=direct",
    )


@pytest.fixture(scope="session", params=["dev", "prod"])
def plan(request: pytest.FixtureRequest) -> Plan:
    """Each of the two."""
    found: Plan = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def listed() -> Manifest:
    """What functions.yaml says."""
    return manifest()
