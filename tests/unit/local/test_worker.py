"""The requests that event functions and jobs receive from the workers."""

import base64
import io
import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from local import doors
from local.worker import THREADS, Events, Jobs, load_jobs
from shared.clients import sources
from shared.errors import InvalidRequest
from shared.manifest import manifest

Environ = dict[str, Any]
PUSH_TOKEN, JOBS_TOKEN, OPERATOR_TOKEN = "push-token", "jobs-token", "operator-token"
PUSHED = {
    "message": {
        "data": base64.b64encode(b"{}").decode(),
        "attributes": {"schema": "user-events/1"},
        "messageId": "17",
        "publishTime": "2026-03-01T00:00:00Z",
    },
    "subscription": "projects/p/subscriptions/update_preferences",
    "deliveryAttempt": 2,
}


def call(
    app: Any, path: str, body: bytes = b"{}", method: str = "POST", **more: str
) -> tuple[str, dict[str, str], bytes]:
    answer: list[Any] = []
    environ = {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "CONTENT_TYPE": "application/json",
        "HTTP_HOST": "127.0.0.1:8081",
        "QUERY_STRING": f"token={PUSH_TOKEN}",
        "HTTP_AUTHORIZATION": f"Bearer {JOBS_TOKEN}",
        **more,
    }
    content = b"".join(app(environ, lambda status, headers: answer.extend((status, dict(headers)))))
    return answer[0], answer[1], content


def recording(calls: list[tuple[str, Environ, bytes]]) -> Callable[[str], Any]:
    def create(name: str) -> Any:
        def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
            calls.append((name, environ, environ["wsgi.input"].read()))
            start_response("200 OK", [])
            return [b"OK"]

        return app

    return create


def test_a_pushed_message_becomes_eventarc_s_cloud_event() -> None:
    calls: list[tuple[str, Environ, bytes]] = []
    events = Events(manifest(), recording(calls), PUSH_TOKEN)
    status, _, _ = call(events, "/_events/update_preferences", json.dumps(PUSHED).encode(), HTTP_CE_TYPE="forged")
    assert status == "200 OK"
    ((name, environ, body),) = calls
    assert name == "update_preferences"
    assert json.loads(body) == PUSHED
    assert environ["PATH_INFO"] == "/"
    assert {key: value for key, value in environ.items() if key.startswith("HTTP_CE_")} == {
        "HTTP_CE_ID": "17",
        "HTTP_CE_SPECVERSION": "1.0",
        "HTTP_CE_TYPE": "google.cloud.pubsub.topic.v1.messagePublished",
        "HTTP_CE_SOURCE": "//pubsub.googleapis.com/projects/p/topics/user-events",
        "HTTP_CE_TIME": "2026-03-01T00:00:00Z",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"message": 1}', b'{"message": {}}'])
def test_a_body_without_a_pushed_message_is_refused(body: bytes) -> None:
    calls: list[Any] = []
    status, headers, _ = call(Events(manifest(), recording(calls), PUSH_TOKEN), "/_events/refresh_catalog", body)
    assert status.startswith("422")
    assert headers["Content-Type"] == "application/problem+json"
    assert calls == []


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/_events/nothing", "POST", "404"),
        ("/_eventsrefresh_catalog", "POST", "404"),
        ("/_events/trending", "POST", "404"),
        ("/_events/refresh_catalog", "GET", "405"),
        ("/health", "GET", "200"),
    ],
)
def test_only_event_functions_of_the_manifest_are_served(path: str, method: str, status: str) -> None:
    events = Events(manifest(), recording([]), PUSH_TOKEN)
    assert call(events, path, method=method)[0].startswith(status)


def test_a_job_that_runs_is_not_started_again_but_another_is() -> None:
    inside, leave = threading.Event(), threading.Event()

    def create(name: str) -> Any:
        def app(_environ: Environ, start_response: Any) -> Iterable[bytes]:
            if name == "similarity":
                inside.set()
                leave.wait(10)
            start_response("200 OK", [])
            return [name.encode()]

        return app

    jobs = Jobs(manifest(), create, [JOBS_TOKEN], OPERATOR_TOKEN)
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.append(call(jobs, "/_jobs/similarity")))
    thread.start()
    assert inside.wait(10)
    status, _, content = call(jobs, "/_jobs/similarity")
    assert status == "409 Conflict"
    assert json.loads(content)["type"] == "urn:aisle:problem:job-running"
    assert call(jobs, "/_jobs/popular")[2] == b"popular"
    leave.set()
    thread.join()
    assert first[0][2] == b"similarity"
    assert call(jobs, "/_jobs/similarity")[0] == "200 OK"


def test_a_job_that_raises_may_run_again() -> None:
    def create(_name: str) -> Any:
        def app(_environ: Environ, _start_response: Any) -> Iterable[bytes]:
            raise RuntimeError

        return app

    jobs = Jobs(manifest(), create, [JOBS_TOKEN], OPERATOR_TOKEN)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            call(jobs, "/_jobs/popular")


def test_an_application_is_created_once() -> None:
    created: list[str] = []

    def create(name: str) -> Any:
        created.append(name)
        return recording([])(name)

    jobs = Jobs(manifest(), create, [JOBS_TOKEN], OPERATOR_TOKEN)
    call(jobs, "/_jobs/popular")
    call(jobs, "/_jobs/popular/")
    assert created == ["popular"]


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer jobs-toke", "Bearer jobs-token2", "jobs-token"]
)
@pytest.mark.parametrize("tokens", [[JOBS_TOKEN], [], [""]])
def test_a_job_runs_only_with_a_token_of_the_system(authorization: str, tokens: list[str]) -> None:
    calls: list[Any] = []
    jobs = Jobs(manifest(), recording(calls), tokens, "")
    status, headers, content = call(jobs, "/_jobs/popular", HTTP_AUTHORIZATION=authorization)
    assert (status, headers["WWW-Authenticate"]) == ("401 Unauthorized", "Bearer")
    assert JOBS_TOKEN.encode() not in content
    assert calls == []


@pytest.mark.parametrize("query", ["", "token=", "token=push-toke", "token=jobs-token", "other=push-token"])
def test_a_message_is_taken_only_with_the_token_of_its_endpoint(query: str) -> None:
    calls: list[Any] = []
    events = Events(manifest(), recording(calls), PUSH_TOKEN)
    body = json.dumps(PUSHED).encode()
    assert call(events, "/_events/refresh_catalog", body, QUERY_STRING=query)[0] == "401 Unauthorized"
    assert calls == []
    assert call(events, "/_events/refresh_catalog", body)[0] == "200 OK"
    assert calls[0][1]["QUERY_STRING"] == ""


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"HTTP_HOST": "rebound.example"}, "403 Forbidden"),
        ({"HTTP_ORIGIN": "https://shop.example"}, "403 Forbidden"),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, "403 Forbidden"),
        ({"CONTENT_TYPE": "text/plain"}, "415 Unsupported Media Type"),
        ({}, "200 OK"),
    ],
)
def test_web_pages_reach_neither_jobs_nor_event_functions(more: dict[str, str], status: str) -> None:
    calls: list[Any] = []
    events, jobs = (
        Events(manifest(), recording(calls), PUSH_TOKEN),
        Jobs(manifest(), recording(calls), [JOBS_TOKEN], OPERATOR_TOKEN),
    )
    assert call(events, "/_events/refresh_catalog", json.dumps(PUSHED).encode(), **more)[0] == status
    assert call(jobs, "/_jobs/popular", **more)[0] == status
    assert len(calls) == (2 if status == "200 OK" else 0)


def test_only_the_operator_s_runs_read_files_of_this_machine() -> None:
    def create(_name: str) -> Any:
        def app(_environ: Environ, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [])
            try:
                return [sources.checked("/etc/hostname").encode()]
            except InvalidRequest as error:
                return [error.detail.encode()]

        return app

    jobs = Jobs(manifest(), create, [JOBS_TOKEN], OPERATOR_TOKEN)
    refused = call(jobs, "/_jobs/popular")[2]
    assert b"only ./aisle job" in refused
    assert call(jobs, "/_jobs/popular", HTTP_AUTHORIZATION=f"Bearer {OPERATOR_TOKEN}")[2] == b"/etc/hostname"
    assert call(jobs, "/_jobs/popular")[2] == refused


@pytest.mark.parametrize("name", ["first_admin", "export_shop"])
def test_only_the_operator_lets_the_first_admin_in_and_exports_the_shop(name: str) -> None:
    calls: list[Any] = []
    jobs = Jobs(manifest(), recording(calls), [JOBS_TOKEN], OPERATOR_TOKEN)
    assert call(jobs, f"/_jobs/{name}")[0] == "403 Forbidden"
    assert calls == []
    assert call(jobs, f"/_jobs/{name}", HTTP_AUTHORIZATION=f"Bearer {OPERATOR_TOKEN}")[0] == "200 OK"
    assert call(jobs, "/_jobs/popular")[0] == "200 OK"


@pytest.mark.parametrize(("given", "size"), [(None, 3 * THREADS), ("7", 7)])
def test_jobs_that_run_at_once_have_their_connections(
    given: str | None, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JOBS_TOKEN", "ADMIN_TOKEN", doors.OPERATOR_TOKEN):
        monkeypatch.setenv(name, "token")
    # restored after the test, also where the worker sets it
    monkeypatch.setenv("DATABASE_POOL_SIZE", given or "")
    if given is None:
        monkeypatch.delenv("DATABASE_POOL_SIZE")
    load_jobs()
    assert int(os.environ["DATABASE_POOL_SIZE"]) == size
