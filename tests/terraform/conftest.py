"""Plans of `terraform/` for tests: real Terraform with a stand-in for the provider, without network or cloud.

They need a Terraform that plans offline: the command in AISLE_TERRAFORM, or the tool that CI has beside the repository.
Without one these tests are skipped; the rest of ``./aisle test`` needs neither.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.places import ROOT
from shared.manifest import Manifest, load, manifest
from tests.conftest import NO_TERRAFORM
from tests.terraform.rules.graph import Graph, base

TOOL = Path(os.environ.get("AISLE_TERRAFORM") or ROOT.parent / "shared/tools/terraform/tf")
PROJECT = "shop-test-123"
STATE_BUCKET = "shop-test-123-state"
PARTS = ("functions", "jobs", "shared", "terraform", "web")
FILES = ("functions.yaml", "main.py", "requirements.txt")
DEADLINE_S = 600
# the stand-in's values for ephemeral and sensitive attributes: none may be in a plan
SECRET_VALUES = ("stub-result", "stub-auth_string")


class Plan:
    """A plan as `terraform show -json` prints it, of the configuration in the folder ``root``."""

    project = PROJECT
    state_bucket = STATE_BUCKET

    def __init__(self, document: dict[str, Any], text: str, root: Path = ROOT) -> None:
        self.root = root
        self.document = document
        self.listed = self._deployed(load(root / "functions.yaml"))
        self.graph = Graph(document["configuration"])
        self.text = text
        self.resources = list(self._walk(document["planned_values"]["root_module"]))

    def _walk(self, module: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from self._walk(child)

    def _deployed(self, listed: Manifest) -> Manifest:
        """Return what the plan deploys: no edge behind the load balancer."""
        behind = self.variable("domain") is not None and self.variable("public_access") != "iam"
        entries = {name: entry for name, entry in listed.entries.items() if not (behind and entry.kind == "edge")}
        return replace(listed, entries=entries)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the values of all resources of a type by their addresses."""
        return {resource["address"]: resource["values"] for resource in self.resources if resource["type"] == kind}

    def by_key(self, kind: str, name: str) -> dict[str, dict[str, Any]]:
        """Return the values of the instances of one resource by their keys."""
        instances = [resource for resource in self.resources if resource["type"] == kind and resource["name"] == name]
        return {str(instance.get("index", "")): instance["values"] for instance in instances}

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return each function's values by its name in functions.yaml."""
        return {address.split('"')[1]: values for address, values in self.of("google_cloudfunctions2_function").items()}

    def inside(self, kind: str) -> dict[str, list[dict[str, Any]]]:
        """Return the values of a type within the function module, by the function's name."""
        by_function: dict[str, list[dict[str, Any]]] = {}
        for address, values in self.of(kind).items():
            if address.startswith("module.function["):
                by_function.setdefault(address.split('"')[1], []).append(values)
        return by_function

    def variable(self, name: str) -> Any:
        """Return the value of a variable; None for one without a value."""
        return self.document["variables"].get(name, {}).get("value")

    def sleep_s(self, address: str) -> int:
        """Return how many seconds a time_sleep waits before what depends on it; ``address`` is without keys."""
        durations = {
            resource["values"]["create_duration"]
            for resource in self.resources
            if resource["type"] == "time_sleep" and _without_keys(resource["address"]) == address
        }
        return min((int(one.removesuffix("s")) for one in durations), default=0)

    def source(self, name: str) -> str:
        """Return the text of a file of terraform/, for what a plan does not contain."""
        return (self.root / "terraform" / name).read_text()

    def archives(self) -> dict[str, dict[str, str]]:
        """Return the content of each archive: file name to text, as the archive provider writes it."""
        contents = {}
        for resource in self.document["prior_state"]["values"]["root_module"]["resources"]:
            if resource["type"] == "archive_file":
                files = resource["values"]["source"]
                contents[resource["index"]] = {file["filename"]: file["content"] for file in files}
        return contents


def _without_keys(address: str) -> str:
    module, _, resource = address.rpartition("].") if address.startswith("module.") else ("", "", address)
    return f"{base(module)}.{base(resource)}" if module else base(resource)


class Terraform:
    """Terraform on a copy of the files that it reads, with its state on this disk."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "repository/terraform"
        for name in PARTS:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".terraform*", ".archives", "*.tfstate*")
                shutil.copytree(ROOT / name, self.folder.parent / name, ignore=ignored)
        shutil.copytree(ROOT / "docs/runbooks", self.folder.parent / "docs/runbooks")
        for name in FILES:
            shutil.copy(ROOT / name, self.folder.parent / name)
        (self.folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        self.run("init", "-input=false", "-no-color")

    def run(self, *arguments: str) -> str:
        environment = dict(os.environ) | {"TF_DATA_DIR": str(self.home / "data"), "TF_IN_AUTOMATION": "1"}
        process = subprocess.run(
            [TOOL, f"-chdir={self.folder}", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-4000:]
        return process.stdout

    def plan(self, *arguments: str) -> Plan:
        file = self.home / "plan"
        self.run(
            "plan", "-input=false", "-no-color", "-lock=false", f"-out={file}", f"-var=project_id={PROJECT}", *arguments
        )
        text = self.run("show", "-json", str(file))
        return Plan(json.loads(text), text, self.folder.parent)

    def plan_pinned(self, *arguments: str) -> Plan:
        """Plan with every function pinned to an archive, so that none is written: a tenth of the time."""
        pinned = {name: f"{name}/earlier.zip" for name in manifest().entries}
        return self.plan(f"-var=pinned_sources={json.dumps(pinned)}", *arguments)


# production with everything on
PROD = (
    "-var-file=envs/prod.tfvars",
    "-var=domain=shop.example.com",
    "-var=public_access=load_balancer",
    "-var=alert_email=oncall@example.com",
    "-var=billing_account=012345-6789AB-CDEF01",
    '-var=repository={"owner"="example","name"="shop"}',
    f"-var=state_bucket={STATE_BUCKET}",
    '-var=operators=["user:ada@example.com"]',
    "-var=vpc_egress=direct",
    "-var=otlp_endpoint=https://telemetry.googleapis.com",
)


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """A Terraform that plans offline."""
    if not TOOL.exists():
        # where the providers can be downloaded, `terraform test` with mock providers covers a part
        pytest.skip(NO_TERRAFORM)
    return Terraform(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def dev(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of an empty project with only its id set; planned once for all test processes."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = tmp_path_factory.getbasetemp()
    cache = (folder if alone else folder.parent) / "dev-plan.json"
    with (cache.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if cache.exists():
            text = cache.read_text()
            return Plan(json.loads(text), text)
        plan = terraform.plan("-var-file=envs/dev.tfvars")
        cache.write_text(plan.text)
        return plan


@pytest.fixture(scope="session")
def prod(terraform: Terraform) -> Plan:
    """The plan of production with everything on. Functions are pinned to archives, so none are created."""
    return terraform.plan_pinned(*PROD)


@pytest.fixture(scope="session", params=["dev", "prod"])
def plan(request: pytest.FixtureRequest) -> Plan:
    """The plans of dev and prod in turn."""
    chosen: Plan = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(scope="session")
def listed() -> Manifest:
    """The manifest, functions.yaml."""
    return manifest()
