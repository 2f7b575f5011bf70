"""Listing and running jobs by their URL, as the local system does."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from functions.admin import runner
from functions.admin.schemas import jobs as schemas
from shared import clients
from shared.clients import postgres
from tests.integration.admin.conftest import audited
from tests.integration.conftest import Serve

JOBS_TOKEN = "jobs-token"


class Jobs(BaseHTTPRequestHandler):
    """Passes a request to the job of its path, as the local system does."""

    serve: Serve
    wait: threading.Event | None = None
    authorizations: list[str | None]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.authorizations.append(self.headers["Authorization"])
        if self.wait is not None:
            self.wait.wait(10)
        answer = type(self).serve(self.path.removeprefix("/_jobs/")).post("/", content=body)
        self.send_response(answer.status_code)
        for name in {"content-type", "retry-after"} & answer.headers.keys():
            self.send_header(name, answer.headers[name])
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def jobs(client: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Jobs]]:
    """A server that runs jobs by URL beside the admin function."""
    handler = type("Handler", (Jobs,), {"serve": staticmethod(serve), "authorizations": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("JOBS_URL", f"http://127.0.0.1:{server.server_port}/_jobs")
    monkeypatch.setenv("JOBS_TOKEN", JOBS_TOKEN)
    clients.reset()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_job_is_listed_with_its_schedule_and_last_runs(client: httpx.Client, serve: Serve) -> None:
    job = serve("trending")
    for _ in range(3):
        job.post("/", json={})
    body = client.get("/admin/jobs", params={"runs": 2}).json()
    schemas.JobList.model_validate(body)
    by_name = {job["name"]: job for job in body["jobs"]}
    assert {
        "trending",
        "similarity",
        "popular",
        "daily_stats",
        "retention",
        "publish_outbox",
        "migrate",
    } <= by_name.keys()
    assert by_name["trending"]["schedule"] == "5 * * * *"
    assert by_name["migrate"]["schedule"] is None
    runs = by_name["trending"]["runs"]
    assert [run["outcome"] for run in runs] == ["succeeded", "succeeded"]
    assert [run["id"] for run in runs] == [
        row[0] for row in postgres.read("SELECT id FROM job_runs WHERE job = 'trending' ORDER BY id DESC LIMIT 2")
    ]
    assert by_name["similarity"]["runs"] == []


def test_a_job_is_run_with_its_parameters_and_its_result_is_the_answer(client: httpx.Client, jobs: type[Jobs]) -> None:
    answer = client.post("/admin/jobs/daily_stats/run", json={"days": 3})
    assert answer.status_code == 200, answer.text
    run = answer.json()
    schemas.JobRunResult.model_validate(run)
    assert (run["job"], run["status"], run["result"]["days"]) == ("daily_stats", "succeeded", 3)
    assert audited() == [("admin-token", "job.run", "daily_stats", None, {"days": 3})]
    assert client.post("/admin/jobs/daily_stats/run").json()["result"]["days"] == 2
    assert set(jobs.authorizations) == {f"Bearer {JOBS_TOKEN}"}


def test_a_jobs_own_problem_is_passed_on(client: httpx.Client, jobs: type[Jobs]) -> None:
    answer = client.post("/admin/jobs/daily_stats/run", json={"days": 0}, headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:aisle:problem:invalid-request"
    assert "days" in problem["detail"]
    assert (problem["instance"], problem["request_id"]) == ("/admin/jobs/daily_stats/run", "r-1")


def test_a_job_that_cannot_run_now_says_when_to_try_again(
    client: httpx.Client, jobs: type[Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    clients.reset()
    answer = client.post("/admin/jobs/popular/run")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:aisle:problem:unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    # another failure does not
    assert "Retry-After" not in client.post("/admin/jobs/daily_stats/run", json={"days": 0}).headers


def test_a_run_continues_after_the_request_has_timed_out(
    client: httpx.Client, jobs: type[Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.wait = threading.Event()
    monkeypatch.setattr(runner, "WAIT_S", 0.2)
    answer = client.post("/admin/jobs/trending/run")
    assert answer.status_code == 202
    assert answer.json() == {"job": "trending", "status": "running", "result": None}
    jobs.wait.set()


def test_an_unknown_job_is_not_found_and_the_answer_names_the_jobs(client: httpx.Client, jobs: type[Jobs]) -> None:
    for name in ("nothing", "products", "..", "trending%00", "models"):
        answer = client.post(f"/admin/jobs/{name}/run")
        assert answer.status_code in (404, 422), name
    answer = client.post("/admin/jobs/products/run")
    assert answer.json()["type"] == "urn:aisle:problem:job-not-found"
    assert "similarity" in answer.json()["detail"]
    assert audited() == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 422), (b"1", 422), (b'"x"', 422), (b"\xff", 400), (b"null", 422)]
)
def test_invalid_parameters_are_refused(client: httpx.Client, jobs: type[Jobs], body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/admin/jobs/trending/run", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert audited() == []


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1/_jobs"])
def test_without_a_jobs_url_the_problem_names_the_setting(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("JOBS_URL", url)
    monkeypatch.setenv("JOBS_TOKEN", JOBS_TOKEN)
    clients.reset()
    answer = client.post("/admin/jobs/trending/run")
    assert answer.status_code == 503
    assert (url or "JOBS_URL") in answer.json()["detail"]
