"""What the admin routes show and do."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import pytest

from functions.admin import runner, schemas
from shared import clients
from shared.clients import postgres, redis_sync
from shared.storage.answers import protocol
from shared.storage.recommending import models
from tests.integration.jobs.shop import Did, events, products
from tests.integration.jobs.test_model_versions import publish

Serve = Callable[[str], httpx.Client]


@pytest.fixture
def client(env: object, serve: Serve) -> httpx.Client:
    made = serve("admin")
    made.headers["Authorization"] = "Bearer an-admin-token-for-tests"
    return made


def audited() -> list[tuple[Any, ...]]:
    rows = postgres.read("SELECT actor, action, subject, before, after FROM audit_log ORDER BY id")
    return [tuple(row) for row in rows]


def epochs() -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = redis_sync.client().hgetall(protocol.EPOCHS)
    return found


# dashboard


def test_an_empty_shop_has_an_empty_dashboard(client: httpx.Client) -> None:
    found = client.get("/admin/dashboard").json()
    assert found["events_by_day"] == found["top_trending"] == found["jobs"] == []
    assert (found["total_events"], found["total_users"], found["total_products"]) == (0, 0, 0)
    assert found["active_model"] is None
    schemas.Dashboard.model_validate(found)


def test_the_dashboard_has_days_trends_totals_and_the_last_run_of_each_job(client: httpx.Client, serve: Serve) -> None:
    ids = products(3, inactive=[2])
    events([Did("a", ids[0], "view", 24 * 3), Did("b", ids[0], "purchase", 24 * 3), Did("a", ids[1], "view", 24 * 60)])
    serve("trending").post("/", json={})
    for _ in range(2):
        serve("daily_stats").post("/", json={})
    version = publish()
    events([Did("c", ids[1], "view", 0), Did("c", ids[0], "view", 0)])
    found = client.get("/admin/dashboard").json()
    schemas.Dashboard.model_validate(found)
    today = datetime.now(UTC).date()
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    assert found["events_by_day"] == [
        {"date": day.isoformat(), "event_type": "purchase", "event_count": 1, "unique_users": 1, "unique_products": 1},
        {"date": day.isoformat(), "event_type": "view", "event_count": 1, "unique_users": 1, "unique_products": 1},
        {"date": today.isoformat(), "event_type": "view", "event_count": 2, "unique_users": 1, "unique_products": 2},
    ]
    # the one of two months ago is in the total
    assert (found["total_events"], found["total_users"], found["total_products"]) == (5, 3, 2)
    first = found["top_trending"][0]
    assert (first["time_window"], first["event_count"], first["product"]["id"]) == ("7d", 2, ids[0])
    assert first["product"]["price"] == 0.5
    assert {trend["time_window"] for trend in found["top_trending"]} == {"7d", "30d"}
    assert found["active_model"]["version"] == version
    assert {run["job"]: run["outcome"] for run in found["jobs"]} == {
        "trending": "succeeded",
        "daily_stats": "succeeded",
    }
    assert len(found["jobs"]) == 2
    assert found["api_stats"]["cache"]["misses"] > 0


def test_what_was_never_counted_is_counted_live(client: httpx.Client) -> None:
    (product,) = products(1)
    events([Did("a", product, "view", 24 * days) for days in (0, 1, 2, 20)])
    found = client.get("/admin/dashboard").json()
    assert [day["event_count"] for day in found["events_by_day"]] == [1, 1, 1, 1]
    assert found["total_events"] == 4


def test_the_dashboard_is_kept_for_a_minute_and_flushing_makes_it_new(client: httpx.Client) -> None:
    first = client.get("/admin/dashboard")
    products(1)
    again = client.get("/admin/dashboard")
    assert again.json() == first.json()
    assert first.headers["cache-control"] == "private, no-cache"
    unchanged = client.get("/admin/dashboard", headers={"If-None-Match": first.headers["etag"]})
    assert unchanged.status_code == 304
    assert 0 < redis_sync.client().ttl("admin:dashboard") <= 60
    client.post("/admin/cache/flush")
    assert client.get("/admin/dashboard").json()["total_products"] == 1


def test_without_redis_the_dashboard_is_computed(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    clients.reset()
    found = client.get("/admin/dashboard")
    assert found.status_code == 200
    assert found.json()["api_stats"] == {"cache": None}
    schemas.Dashboard.model_validate(found.json())


# cache


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        ("", {scope.encode() for scope in protocol.SCOPES}),
        ("/recommendations", {b"recommendations"}),
        ("/similar", {b"similar"}),
        ("/trending", {b"trending"}),
    ],
)
def test_flushing_makes_the_answers_of_a_scope_invalid(client: httpx.Client, path: str, scopes: set[bytes]) -> None:
    before = epochs()
    answer = client.post(f"/admin/cache/flush{path}")
    assert answer.status_code == 200
    assert answer.json().keys() == {"message"}
    after = epochs()
    assert {scope for scope in after if after[scope] != before.get(scope)} == scopes
    flushed = [path[1:]] if path else list(protocol.SCOPES)
    assert audited() == [("admin-token", "cache.flush", path[1:] or "all", None, {"scopes": flushed})]


def test_an_unknown_scope_is_refused(client: httpx.Client) -> None:
    assert client.post("/admin/cache/flush/everything").status_code == 422
    assert audited() == []


def test_a_flush_that_redis_did_not_take_is_no_success(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    clients.reset()
    answer = client.post("/admin/cache/flush/similar")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert audited() == []


# models


def test_models_are_listed_and_switched_and_the_answers_of_the_other_are_dropped(client: httpx.Client) -> None:
    first, second = publish(1), publish(2)
    listed = client.get("/admin/models").json()
    schemas.ModelVersionList.model_validate(listed)
    assert [(model["version"], model["active"], model["stored"]) for model in listed["models"]] == [
        (second, True, True),
        (first, False, True),
    ]
    before = epochs()
    answer = client.post(f"/admin/models/{first}/activate")
    assert answer.json() == {"version": first, "previous": second}
    active = models.active()
    assert active is not None
    assert active.version == first
    after = epochs()
    assert {scope for scope in after if after[scope] != before.get(scope)} == {
        b"similar",
        b"recommendations",
        b"dashboard",
    }
    assert audited() == [("admin-token", "model.activate", str(first), {"version": second}, {"version": first})]


@pytest.mark.parametrize(
    ("version", "status"), [("999", 404), ("0", 422), ("-1", 422), ("x", 422), ("2147483648", 422), ("1.5", 422)]
)
def test_a_version_that_is_none_is_refused(client: httpx.Client, version: str, status: int) -> None:
    active = publish()
    answer = client.post(f"/admin/models/{version}/activate")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found = models.active()
    assert found is not None
    assert found.version == active
    assert audited() == []


def test_a_version_that_was_dropped_is_a_conflict(client: httpx.Client) -> None:
    versions = [publish(marker) for marker in range(6)]
    models.drop_surplus()
    assert client.post(f"/admin/models/{versions[0]}/activate").status_code == 409
    assert audited() == []


# jobs


class Jobs(BaseHTTPRequestHandler):
    """Hands a request to the job of its path, as the local system does."""

    serve: Serve
    wait: threading.Event | None = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.wait is not None:
            self.wait.wait(10)
        answer = type(self).serve(self.path.removeprefix("/_jobs/")).post("/", content=body)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["content-type"])
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def jobs(client: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Jobs]]:
    """Runs jobs by URL beside the admin function."""
    handler = type("Handler", (Jobs,), {"serve": staticmethod(serve)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("JOBS_URL", f"http://127.0.0.1:{server.server_port}/_jobs")
    clients.reset()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_job_is_listed_with_its_schedule_and_last_runs(client: httpx.Client, serve: Serve) -> None:
    job = serve("trending")
    for _ in range(3):
        job.post("/", json={})
    found = client.get("/admin/jobs", params={"runs": 2}).json()
    schemas.JobList.model_validate(found)
    by_name = {one["name"]: one for one in found["jobs"]}
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
    assert runs[0]["started_at"] > runs[1]["started_at"]
    assert by_name["similarity"]["runs"] == []


def test_a_job_is_run_with_its_parameters_and_its_result_is_the_answer(client: httpx.Client, jobs: type[Jobs]) -> None:
    answer = client.post("/admin/jobs/daily_stats/run", json={"days": 3})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    schemas.JobRunResult.model_validate(found)
    assert (found["job"], found["status"], found["result"]["days"]) == ("daily_stats", "succeeded", 3)
    assert audited() == [("admin-token", "job.run", "daily_stats", None, {"days": 3})]
    assert client.post("/admin/jobs/daily_stats/run").json()["result"]["days"] == 2


def test_a_jobs_own_problem_is_passed_on(client: httpx.Client, jobs: type[Jobs]) -> None:
    answer = client.post("/admin/jobs/daily_stats/run", json={"days": 0}, headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:aisle:problem:invalid-request"
    assert "days" in problem["detail"]
    assert (problem["instance"], problem["request_id"]) == ("/admin/jobs/daily_stats/run", "r-1")


def test_a_run_that_takes_longer_than_anybody_waits_goes_on(
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
def test_parameters_that_are_none_are_refused(client: httpx.Client, jobs: type[Jobs], body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/admin/jobs/trending/run", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert audited() == []


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1/_jobs"])
def test_where_jobs_cannot_be_run_the_answer_says_so(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("JOBS_URL", url)
    clients.reset()
    answer = client.post("/admin/jobs/trending/run")
    assert answer.status_code == 503
    assert (url or "JOBS_URL") in answer.json()["detail"]


# lists


def test_the_audit_log_is_paged_newest_first_with_the_requests_id(client: httpx.Client) -> None:
    for number, scope in enumerate(("similar", "trending", "recommendations")):
        client.post(f"/admin/cache/flush/{scope}", headers={"X-Request-ID": f"request-{number}"})
    found = client.get("/admin/audit-log", params={"page_size": 2}).json()
    schemas.AuditLogPage.model_validate(found)
    assert [(entry["subject"], entry["request_id"]) for entry in found["entries"]] == [
        ("recommendations", "request-2"),
        ("trending", "request-1"),
    ]
    assert (found["total"], found["page"], found["page_size"], found["total_pages"]) == (3, 1, 2, 2)
    assert [entry["subject"] for entry in client.get("/admin/audit-log?page=2&page_size=2").json()["entries"]] == [
        "similar"
    ]
    beyond = client.get("/admin/audit-log?page=9&page_size=2").json()
    assert (beyond["entries"], beyond["total"]) == ([], 3)


def test_rejected_events_are_paged_with_their_reasons(client: httpx.Client) -> None:
    from shared.storage.events import rejected

    rejected.add("m1", [(0, {"product_id": 7}, "unknown product 7"), (1, {"x": 1}, "no product")])
    found = client.get("/admin/rejected-events", params={"page_size": 1}).json()
    schemas.RejectedEventPage.model_validate(found)
    assert found["total"] == 2
    (entry,) = found["entries"]
    assert (entry["message_id"], entry["position"], entry["event"], entry["reason"]) == (
        "m1",
        1,
        {"x": 1},
        "no product",
    )


@pytest.mark.parametrize("path", ["/admin/audit-log", "/admin/rejected-events"])
@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=x", "page_size=0", "page_size=101", "page=1.5", "limit=5", "page=99999999999999999999"],
)
def test_pages_that_make_no_sense_are_refused(client: httpx.Client, path: str, query: str) -> None:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert orjson.loads(answer.content)["errors"]


def test_the_description_names_every_route_and_its_problems(client: httpx.Client) -> None:
    description = client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    for path, methods in description["paths"].items():
        if path.startswith("/admin"):
            for method in methods.values():
                assert {"401", "403"} <= method["responses"].keys(), path
                assert method["security"] == [{"admin": []}]
