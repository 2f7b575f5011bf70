"""Stand-ins for the programs `gcloud` and `terraform`, as far as the page uses them.

    python3 -m tests.terraform.first_deployment.programs gcloud|terraform ARGUMENTS

`gcloud` refuses a command, flag or argument that it does not know, and what Google would refuse at that point: an API
that is not enabled, a bucket or secret that does not exist. `terraform` is the one that plans offline. Both keep
what they know in the folder $STAND_IN.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from shared.manifest import manifest
from tests.terraform.conftest import TOOL

CONSTRAINT: Final = "iam.allowedPolicyMemberDomains"
ADMIN_SECRET: Final = "aisle-admin-token"
APPROVE: Final = "  Only 'yes' will be accepted to approve.\n\n  Enter a value: "
SCHEME: Final = "gs://"


class RefusedError(Exception):
    """What the program prints before it ends with 1."""


class Project:
    """What `gcloud` has made, and what Terraform's state says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "project.json"
        self.known: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {"apis": []}
        state = Path("terraform/terraform.tfstate")
        self.resources = json.loads(state.read_text())["resources"] if state.exists() else []

    def remember(self, **values: Any) -> None:
        self.known |= values
        self.file.write_text(json.dumps(self.known))

    def names(self, kind: str, attribute: str) -> set[str]:
        """Return an attribute of all resources of a type that Terraform has made."""
        return {
            instance["attributes"][attribute]
            for resource in self.resources
            if resource["type"] == kind and resource["mode"] == "managed"
            for instance in resource["instances"]
        }

    def needs(self, *names: str) -> None:
        for name in names:
            if not self.known.get(name):
                raise RefusedError(f"ERROR: (gcloud) there is no {name} yet")

    def needs_api(self, name: str) -> None:
        self.needs("login", "project")
        full = f"{name}.googleapis.com"
        if full not in {*self.known["apis"], *self.names("google_project_service", "service")}:
            raise RefusedError(f"ERROR: (gcloud) API [{full}] not enabled on project [{self.known['project']}].")

    def bucket(self, url: str) -> Path:
        """Return the folder that stands for a place in a bucket."""
        name, _, path = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not (
            (self.folder / name).is_dir() or name in self.names("google_storage_bucket", "name")
        ):
            raise RefusedError(f"ERROR: (gcloud.storage) {url} not found: 404.")
        return self.folder / name / path


Flags = dict[str, str]


def login(project: Project, _given: list[str], _flags: Flags) -> str:
    project.remember(login=True)
    return "You are now logged in as [ada@example.com]."


def application_login(project: Project, _given: list[str], _flags: Flags) -> str:
    project.remember(credentials=True)
    return "Credentials saved to file: [application_default_credentials.json]"


def quota_project(project: Project, given: list[str], _flags: Flags) -> str:
    project.needs("credentials")
    project.needs_api("cloudresourcemanager")
    project.remember(quota=True)
    return f'Quota project "{given[0]}" was added to ADC.'


def choose(project: Project, given: list[str], _flags: Flags) -> str:
    if given[0] != "project":
        raise RefusedError(f"ERROR: (gcloud.config.set) unknown property {given[0]}")
    project.needs("login")
    project.remember(project=given[1])
    return "Updated property [core/project]."


def enable(project: Project, given: list[str], _flags: Flags) -> str:
    project.needs("login", "project")
    project.remember(apis=[*project.known["apis"], *given])
    return 'Operation "operations/acat.p2-1" finished successfully.'


def describe_policy(project: Project, given: list[str], flags: Flags) -> str:
    project.needs_api("cloudresourcemanager")
    if given[0] != CONSTRAINT or flags.get("--project") != project.known["project"]:
        raise RefusedError("ERROR: (gcloud.resource-manager.org-policies.describe) unknown constraint or project")
    return f"constraint: constraints/{CONSTRAINT}\nlistPolicy:\n  allValues: ALLOW"


def set_policy(project: Project, given: list[str], _flags: Flags) -> str:
    project.needs_api("orgpolicy")
    policy = yaml.safe_load(Path(given[0]).read_text())
    wanted = {
        "name": f"projects/{project.known['project']}/policies/{CONSTRAINT}",
        "spec": {"rules": [{"allowAll": True}]},
    }
    if policy != wanted:
        raise RefusedError(f"ERROR: (gcloud.org-policies.set-policy) INVALID_ARGUMENT: {policy}")
    return f"Created policy [{CONSTRAINT}]."


def create_bucket(project: Project, given: list[str], flags: Flags) -> str:
    project.needs_api("storage")
    if "--location" not in flags:
        raise RefusedError("ERROR: (gcloud.storage.buckets.create) name a location")
    try:
        (project.folder / given[0].removeprefix(SCHEME)).mkdir()
    except FileExistsError:
        raise RefusedError("ERROR: (gcloud.storage.buckets.create) HTTPError 409: it exists already.") from None
    return f"Creating {given[0]}/..."


def update_bucket(project: Project, given: list[str], _flags: Flags) -> str:
    project.needs_api("storage")
    project.bucket(given[0])
    return f"Updating {given[0]}/...\n  Completed 1"


def copy_files(project: Project, given: list[str], _flags: Flags) -> str:
    project.needs_api("storage")
    *files, place = given
    folder = project.bucket(place)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)
    return "\n".join(f"Copying file://{Path(file).name} to {place}{Path(file).name}" for file in files)


def identity_token(project: Project, _given: list[str], _flags: Flags) -> str:
    project.needs("login")
    return os.environ["STAND_IN_IDENTITY"]


def update_service(project: Project, given: list[str], flags: Flags) -> str:
    project.needs_api("run")
    if "--region" not in flags or given[0] not in project.names("google_cloudfunctions2_function", "name"):
        raise RefusedError(f"ERROR: (gcloud.run.services.update) Service [{given[0]}] could not be found.")
    return f"Service [{given[0]}] has been updated."


def read_secret(project: Project, given: list[str], flags: Flags) -> str:
    project.needs_api("secretmanager")
    secret = flags.get("--secret", "")
    if given != ["latest"] or secret not in project.names("google_secret_manager_secret", "secret_id"):
        raise RefusedError(f"ERROR: (gcloud.secrets.versions.access) NOT_FOUND: Secret [{secret}] not found.")
    if secret != ADMIN_SECRET:
        raise RefusedError("ERROR: (gcloud.secrets.versions.access) the stand-in knows no value of it")
    return os.environ["STAND_IN_ADMIN_TOKEN"]


def create_secret(project: Project, given: list[str], flags: Flags) -> str:
    project.needs_api("secretmanager")
    if flags.get("--data-file") != "-" or not sys.stdin.read():
        raise RefusedError("ERROR: (gcloud.secrets.create) The secret has no value.")
    return f"Created version [1] of the secret [{given[0]}]."


def list_certificates(project: Project, _given: list[str], _flags: Flags) -> str:
    project.needs_api("compute")
    return "\n".join(f"{name}\tACTIVE" for name in project.names("google_compute_managed_ssl_certificate", "name"))


class Command(NamedTuple):
    """A command of gcloud: what it does, how many arguments it takes, and its flags; True for those with a value."""

    act: Callable[[Project, list[str], Flags], str]
    least: int
    most: int
    flags: dict[str, bool]


COMMANDS: Final = {
    "auth login": Command(login, 0, 0, {}),
    "auth application-default login": Command(application_login, 0, 0, {}),
    "auth application-default set-quota-project": Command(quota_project, 1, 1, {}),
    "auth print-identity-token": Command(identity_token, 0, 0, {}),
    "config set": Command(choose, 2, 2, {}),
    "services enable": Command(enable, 1, 20, {}),
    "resource-manager org-policies describe": Command(describe_policy, 1, 1, {"--project": True, "--effective": False}),
    "org-policies set-policy": Command(set_policy, 1, 1, {}),
    "storage buckets create": Command(
        create_bucket,
        1,
        1,
        {"--location": True, "--uniform-bucket-level-access": False, "--public-access-prevention": False},
    ),
    "storage buckets update": Command(update_bucket, 1, 1, {"--versioning": False}),
    "storage cp": Command(copy_files, 2, 20, {}),
    "run services update": Command(update_service, 1, 1, {"--region": True, "--no-invoker-iam-check": False}),
    "secrets versions access": Command(read_secret, 1, 1, {"--secret": True}),
    "secrets create": Command(create_secret, 1, 1, {"--data-file": True}),
    "compute ssl-certificates list": Command(list_certificates, 0, 0, {"--global": False, "--format": True}),
}


def gcloud(arguments: Sequence[str]) -> str:
    """Return what a command of gcloud prints. Raises RefusedError."""
    for length in (3, 2):
        if command := COMMANDS.get(" ".join(arguments[:length])):
            break
    else:
        raise RefusedError(f"ERROR: (gcloud) Invalid choice: {' '.join(arguments)}")
    given, flags, rest = [], {}, list(arguments[length:])
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("--"):
            given.append(argument)
            continue
        name, has_value, value = argument.partition("=")
        if name not in command.flags or (has_value and not command.flags[name]):
            raise RefusedError(f"ERROR: (gcloud) unrecognized arguments: {argument}")
        if command.flags[name] and not has_value:
            raise RefusedError(f"ERROR: (gcloud) argument {name}: expected one argument")
        flags[name] = value
    if not command.least <= len(given) <= command.most:
        raise RefusedError(f"ERROR: (gcloud) {' '.join(arguments)}: wrong number of arguments")
    return command.act(Project(Path(os.environ["STAND_IN"])), given, flags)


def terraform(arguments: Sequence[str]) -> int:
    """Run Terraform offline, with its state on this disk instead of in the bucket."""
    project = Project(Path(os.environ["STAND_IN"]))
    rest = list(arguments)
    if rest[:1] != ["-chdir=terraform"] or rest[1:2] not in (["init"], ["apply"], ["output"]):
        raise RefusedError(f"Error: the stand-in knows no terraform {' '.join(arguments)}")
    project.needs("credentials", "quota")
    if rest[1] == "init":
        (backend,) = (one for one in rest if one.startswith("-backend-config=bucket="))
        rest.remove(backend)
        project.bucket(f"{SCHEME}{backend.partition('bucket=')[2]}")
    if rest[1] == "apply":
        # the library that runs Terraform does not pass on what is typed
        print(APPROVE, flush=True)
        if sys.stdin.readline() != "yes\n":
            raise RefusedError("Error: apply cancelled")
        rest.append("-auto-approve")
    if rest[1] != "output":
        rest.append("-no-color")
    # the proxy is for functions
    environment = {name: value for name, value in os.environ.items() if name != "https_proxy"}
    # writing the archives takes ten times as long as everything else, and tests/terraform/test_archives.py does it
    environment["TF_VAR_pinned_sources"] = json.dumps({name: f"{name}/stand-in.zip" for name in manifest().entries})
    return subprocess.run([TOOL, *rest], env=environment, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """Run the program that the first argument names."""
    try:
        if arguments[0] == "terraform":
            return terraform(arguments[1:])
        print(gcloud(arguments[1:]))
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
