"""In the cloud, /admin/jobs lists, runs, pauses and resumes the jobs of Cloud Scheduler."""

from collections.abc import Iterator

import httpx
import pytest

from shared.manifest import manifest
from tests.integration.admin.scheduler_server import Scheduler
from tests.integration.admin.scheduler_server import scheduler as stand_in
from tests.integration.conftest import Serve, settings_of
from tests.integration.people import ADMIN, as_admin


@pytest.fixture
def scheduler(env: dict[str, str]) -> Iterator[Scheduler]:
    with stand_in() as server:
        cloud = {
            "SCHEDULER_LOCATION": "europe-west1",
            "SCHEDULER_EMULATOR_HOST": server.host,
            "GOOGLE_CLOUD_PROJECT": "aisle-local",
        }
        with settings_of(env | cloud):
            yield server


@pytest.fixture
def client(scheduler: Scheduler, serve: Serve) -> httpx.Client:
    return as_admin(serve("admin"))


def jobs(client: httpx.Client) -> dict[str, dict]:
    return {job["name"]: job for job in client.get("/admin/jobs").raise_for_status().json()["jobs"]}


def test_jobs_are_listed_with_their_state_in_the_scheduler(client: httpx.Client, scheduler: Scheduler) -> None:
    listed = jobs(client)
    assert set(listed) == {entry.name for entry in manifest().of_kind("job")}
    assert listed["trending"]["scheduler"]["state"] == "enabled"
    assert listed["trending"]["scheduler"]["next_run_at"].startswith("2026-11-22T02:00:00")
    assert listed["migrate"]["scheduler"] is None


def test_a_run_that_failed_shows(client: httpx.Client, scheduler: Scheduler) -> None:
    scheduler.jobs["trending"]["status"] = {"code": 13}
    assert jobs(client)["trending"]["scheduler"]["last_attempt_failed"] is True
    assert jobs(client)["popular"]["scheduler"]["last_attempt_failed"] is False


def test_a_job_is_run_by_the_scheduler_and_is_in_the_audit_log(client: httpx.Client, scheduler: Scheduler) -> None:
    answer = client.post("/admin/jobs/trending/run")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert scheduler.ran == ["trending"]
    entry = client.get("/admin/audit-log").json()["entries"][0]
    assert (entry["action"], entry["subject"]) == ("job.run", "trending")


def test_a_paused_job_stays_paused_until_it_is_resumed(client: httpx.Client, scheduler: Scheduler) -> None:
    assert client.post("/admin/jobs/trending/pause").json()["state"] == "paused"
    assert jobs(client)["trending"]["scheduler"]["state"] == "paused"
    assert client.post("/admin/jobs/trending/resume").json()["state"] == "enabled"
    actions = [entry["action"] for entry in client.get("/admin/audit-log").json()["entries"]]
    assert actions == ["job.resume", "job.pause"]


def test_parameters_are_refused_because_the_scheduler_accepts_none(client: httpx.Client, scheduler: Scheduler) -> None:
    answer = client.post("/admin/jobs/daily_stats/run", json={"days": 3})
    assert answer.status_code == 422
    assert "without parameters" in answer.json()["detail"]
    assert scheduler.ran == []


def test_the_problem_of_a_job_on_demand_explains_how_to_run_it(client: httpx.Client, scheduler: Scheduler) -> None:
    answer = client.post("/admin/jobs/migrate/run")
    assert answer.status_code == 503
    assert "on demand" in answer.json()["detail"]


def test_a_job_that_was_not_deployed_is_not_found(client: httpx.Client, scheduler: Scheduler) -> None:
    del scheduler.jobs["trending"]
    for action in ("run", "pause", "resume"):
        assert client.post(f"/admin/jobs/trending/{action}").status_code == 404
    # nor is there a trace of what was not done
    assert client.get("/admin/audit-log").json()["entries"] == []


def test_without_permission_the_scheduler_is_unavailable(client: httpx.Client, scheduler: Scheduler) -> None:
    scheduler.down = True
    answer = client.get("/admin/jobs")
    assert answer.status_code == 503
    assert "Cloud Scheduler does not answer" in answer.json()["detail"]


def test_without_cloud_scheduler_a_job_cannot_be_paused(env: dict[str, str], serve: Serve) -> None:
    client = serve("admin")
    answer = client.post("/admin/jobs/trending/pause", headers=ADMIN)
    assert answer.status_code == 503
    assert "SCHEDULER_LOCATION" in answer.json()["detail"]
