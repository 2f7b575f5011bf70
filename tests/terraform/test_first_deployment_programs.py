"""The stand-in for gcloud refuses what Google's would: unknown commands and flags, and what does not exist yet."""

import json
from pathlib import Path

import pytest

from tests.terraform.first_deployment import programs
from tests.terraform.first_deployment.programs import RefusedError, gcloud

PROJECT = "my-shop-dev"
BUCKET = "gs://my-shop-dev-state"


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a repository without a state, with nothing done yet."""
    (tmp_path / "stand-in").mkdir()
    (tmp_path / "terraform").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAND_IN", str(tmp_path / "stand-in"))
    monkeypatch.setenv("STAND_IN_IDENTITY", "a-token")
    monkeypatch.setenv("STAND_IN_ADMIN_TOKEN", "an-admin-token")
    return tmp_path


def run(*commands: str) -> str:
    """Run commands of gcloud and return what the last one prints."""
    return [gcloud(command.split()) for command in commands][-1]


def begin() -> None:
    run("auth login", f"config set project {PROJECT}", "services enable storage.googleapis.com")


def test_a_bucket_is_made_once_and_after_its_api_is_enabled(operator: Path) -> None:
    create = f"storage buckets create {BUCKET} --location=europe-west1"
    with pytest.raises(RefusedError, match="no login"):
        run(create)
    run("auth login", f"config set project {PROJECT}")
    with pytest.raises(RefusedError, match=r"storage\.googleapis\.com\] not enabled"):
        run(create)
    run("services enable storage.googleapis.com")
    with pytest.raises(RefusedError, match="404"):
        run(f"storage buckets update {BUCKET} --versioning")
    assert run(create, f"storage buckets update {BUCKET} --versioning")
    with pytest.raises(RefusedError, match="409"):
        run(create)
    # a bystander
    assert run(create.replace("state", "plans"))


@pytest.mark.parametrize(
    "command",
    [
        "storage buckets create gs://a --location=europe-west1 --no-such-flag",
        "storage buckets create gs://a --location",
        "storage buckets create gs://a gs://b --location=europe-west1",
        "storage buckets update gs://my-shop-dev-state --versioning=on",
        "storage buckets destroy gs://a",
        "auth login ada@example.com",
        "storage",
        "",
    ],
)
def test_what_it_does_not_know_is_refused(operator: Path, command: str) -> None:
    begin()
    run(f"storage buckets create {BUCKET} --location=europe-west1")
    with pytest.raises(RefusedError, match="ERROR"):
        run(command)


def test_what_terraform_made_exists_and_nothing_else(operator: Path) -> None:
    begin()
    read = "secrets versions access latest --secret=aisle-admin-token"
    with pytest.raises(RefusedError, match="not enabled"):
        run(read)
    made = {
        "google_project_service": {"service": "secretmanager.googleapis.com"},
        "google_secret_manager_secret": {"secret_id": "aisle-admin-token"},
    }
    resources = [
        {"type": kind, "mode": "managed", "instances": [{"attributes": attributes}]}
        for kind, attributes in made.items()
    ]
    (operator / "terraform/terraform.tfstate").write_text(json.dumps({"resources": resources}))
    assert run(read) == "an-admin-token"
    with pytest.raises(RefusedError, match="NOT_FOUND"):
        run("secrets versions access latest --secret=aisle-other")


def test_a_refusal_is_an_exit_code(operator: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert programs.main(["gcloud", "config", "set", "project", PROJECT]) == 1
    assert programs.main(["gcloud", "auth", "login"]) == 0
    assert programs.main(["terraform", "-chdir=terraform", "destroy"]) == 1
    # it asks Google, as a person whom the library cannot name yet
    assert programs.main(["terraform", "-chdir=terraform", "init", f"-backend-config=bucket={PROJECT}-state"]) == 1
    assert "there is no credentials yet" in capsys.readouterr().err
