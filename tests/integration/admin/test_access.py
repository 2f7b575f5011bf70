"""The admin routes need the admin token."""

from collections.abc import Iterator

import httpx
import pytest

from functions.admin.main import app
from shared import clients
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import ADMIN

FILLED = {
    "run_id": 1,
    "scope": "similar",
    "version": "1",
    "name": "trending",
    "rule_id": "1",
    "synonym_id": "1",
    "user_id": "u",
    "key_id": "0" * 12,
    "feed_id": 1,
    "import_id": 1,
}


def routes() -> list[tuple[str, str]]:
    """Return method and path of every admin route; they come from the description, so new routes are included."""
    return [
        (method.upper(), path.format(**FILLED))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if path.startswith("/admin")
    ]


def test_the_routes_are_those_of_the_contract() -> None:
    assert sorted(routes()) == [
        ("DELETE", "/admin/api-keys/000000000000"),
        ("DELETE", "/admin/feeds/1"),
        ("DELETE", "/admin/rules/1"),
        ("DELETE", "/admin/synonyms/1"),
        ("DELETE", "/admin/users/u"),
        ("GET", "/admin/api-keys"),
        ("GET", "/admin/audit-log"),
        ("GET", "/admin/dashboard"),
        ("GET", "/admin/dead-letters"),
        ("GET", "/admin/doctor"),
        ("GET", "/admin/feeds"),
        ("GET", "/admin/feeds/1"),
        ("GET", "/admin/imports"),
        ("GET", "/admin/imports/1"),
        ("GET", "/admin/jobs"),
        ("GET", "/admin/models"),
        ("GET", "/admin/operations"),
        ("GET", "/admin/overview"),
        ("GET", "/admin/preview"),
        ("GET", "/admin/rejected-events"),
        ("GET", "/admin/rules"),
        ("GET", "/admin/searches"),
        ("GET", "/admin/segments"),
        ("GET", "/admin/shop"),
        ("GET", "/admin/synonyms"),
        ("GET", "/admin/training-runs"),
        ("GET", "/admin/training-runs/1/report"),
        ("GET", "/admin/users"),
        ("GET", "/admin/users/u/export"),
        ("PATCH", "/admin/feeds/1"),
        ("PATCH", "/admin/rules/1"),
        ("PATCH", "/admin/shop"),
        ("POST", "/admin/api-keys"),
        ("POST", "/admin/cache/flush"),
        ("POST", "/admin/cache/flush/similar"),
        ("POST", "/admin/dead-letters/replay"),
        ("POST", "/admin/feeds"),
        ("POST", "/admin/jobs/trending/pause"),
        ("POST", "/admin/jobs/trending/resume"),
        ("POST", "/admin/jobs/trending/run"),
        ("POST", "/admin/models/1/activate"),
        ("POST", "/admin/preview"),
        ("POST", "/admin/rules"),
        ("POST", "/admin/synonyms"),
        ("POST", "/admin/training-runs/1/report-link"),
        ("PUT", "/admin/users/u/role"),
    ]


@pytest.fixture(scope="module")
def client(module_env: object) -> Iterator[httpx.Client]:
    from local.apps import create
    from tests.integration.conftest import Server

    with Server(create("admin")) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), routes())
@pytest.mark.parametrize(
    ("authorization", "status", "slug"),
    [
        (None, 401, "unauthorized"),
        ("", 401, "unauthorized"),
        ("Basic YWRtaW46YWRtaW4=", 401, "unauthorized"),
        ("Bearer", 401, "unauthorized"),
        ("Bearer not-the-token-at-all", 403, "forbidden"),
        ("Bearer an-admin-token-for-test", 403, "forbidden"),
        ("Bearer an-admin-token-for-testsX", 403, "forbidden"),
        ("Bearer \xfcber-secret-token", 403, "forbidden"),
    ],
)
def test_every_route_without_the_admin_token_is_a_problem(
    client: httpx.Client, method: str, path: str, authorization: str | None, status: int, slug: str
) -> None:
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
    answer = client.request(method, path, headers=headers)  # type: ignore[arg-type]  # bytes are headers too
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:aisle:problem:{slug}"
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_refused_writes_leave_no_trace(client: httpx.Client) -> None:
    for method, path in routes():
        client.request(method, path, headers={"Authorization": "Bearer wrong-wrong-wrong"})
    assert postgres.read("SELECT count(*) FROM audit_log")[0][0] == 0
    assert postgres.read("SELECT count(*) FROM job_runs")[0][0] == 0


def test_where_no_token_is_set_every_token_is_wrong(env: object, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_TOKEN", "")
    clients.reset()
    answer = serve("admin").get("/admin/models", headers=ADMIN)
    assert answer.status_code == 403


def test_health_needs_no_token(client: httpx.Client) -> None:
    assert client.get("/health").json()["status"] == "healthy"
    assert client.get("/health/ready").status_code == 200
