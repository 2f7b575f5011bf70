"""The copy of Terraform's state for plans of pull requests has no secret, and shows no change because of it."""

import hashlib
import io
import json
from typing import Any

import pytest

from delivery import plan_state

PASSWORD = "a-password-of-redis"


def state() -> dict[str, Any]:
    version = hashlib.sha256(f"{PASSWORD}@10.30.0.3".encode()).hexdigest()[:8]
    return {
        "version": 4,
        "resources": [
            {
                "type": "google_redis_instance",
                "name": "this",
                "instances": [{"attributes": {"auth_string": PASSWORD, "host": "10.30.0.3", "auth_enabled": True}}],
            },
            {
                "type": "google_secret_manager_secret_version",
                "name": "redis_url",
                "instances": [{"attributes": {"secret_data": None, "secret_data_wo_version": version}}],
            },
            {
                "type": "google_secret_manager_secret_version",
                "name": "this",
                "instances": [{"attributes": {"secret_data": "", "secret_data_wo_version": "1"}}],
            },
            {
                "type": "google_cloud_scheduler_job",
                "name": "this",
                "instances": [{"attributes": {"http_target": [{"oidc_token": [{"audience": "https://x.run.app"}]}]}}],
            },
        ],
    }


def attributes(copy: dict[str, Any], place: int) -> dict[str, Any]:
    found: dict[str, Any] = copy["resources"][place]["instances"][0]["attributes"]
    return found


def test_the_password_is_withheld_and_nothing_else() -> None:
    before = state()
    copy = plan_state.withhold(before)
    assert PASSWORD not in json.dumps(copy)
    assert attributes(copy, 0) == {"auth_string": "withheld", "host": "10.30.0.3", "auth_enabled": True}
    # as terraform/cache.tf computes it, so that the plan of the copy shows no change
    expected = hashlib.sha256(b"withheld@10.30.0.3").hexdigest()[:8]
    assert attributes(copy, 1)["secret_data_wo_version"] == expected
    assert copy["resources"][2:] == before["resources"][2:]
    assert before == state()


def test_a_state_without_redis_is_copied_as_it_is() -> None:
    empty = {"version": 4, "resources": [], "outputs": {"urls": {"value": {}}}}
    assert plan_state.withhold(empty) == empty


@pytest.mark.parametrize("name", ["password", "secret_data", "private_key", "root_password", "access_token"])
def test_a_secret_of_a_new_resource_stops_the_copy(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = state()
    found["resources"].append(
        {"type": "google_new", "name": "this", "instances": [{"attributes": {"block": [{name: "hunter2"}]}}]}
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(found)))
    assert plan_state.main() == 1
    written = capsys.readouterr()
    assert written.out == ""
    assert f"google_new.this may hold a secret in block.{name}" in written.err
    assert "hunter2" not in written.err
