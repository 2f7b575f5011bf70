"""Routing by path, and the gateway's own routes."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from local.gateway import gateway
from shared.manifest import manifest

JSON = {"Content-Type": "application/json"}


class Echo:
    """Stands for a function: answers with its name and the requested path."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/openapi.json":
            answer: Any = {"info": {"description": self.name}, "paths": {f"/{self.name}": {"get": {}}}}
        else:
            answer = {"function": self.name, "path": Request(scope).url.path}
        await JSONResponse(answer)(scope, receive, send)


class Client:
    """Calls the gateway without a network."""

    def __init__(self) -> None:
        self.transport = httpx.ASGITransport(gateway(manifest(), Echo))

    def request(self, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport) as client:
                return await client.request(method, f"http://localhost{path}", headers=headers)

        return asyncio.run(send())

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.request("GET", path, headers)

    def post(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.request("POST", path, headers)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/products", "products"),
        ("/products/", "products"),
        ("/products/17", "products"),
        ("/products/suggest?q=a", "products"),
        ("/events/batch", "events"),
        ("/popular", "recommendations"),
        ("/recommendations/feedback", "recommendations"),
        ("/admin/cache/flush/similar", "admin"),
        ("/console", "web"),
        ("/docs", "web"),
        ("/web/vendor/preact.js", "web"),
    ],
)
def test_a_request_goes_to_the_longest_path_that_it_continues(client: Client, path: str, function: str) -> None:
    answer = client.get(path).json()
    assert answer == {"function": function, "path": path.partition("?")[0]}


@pytest.mark.parametrize(
    "path", ["/productsale", "/product", "/nothing/products", "//products", "/recommendationsx/y", "/aisl"]
)
def test_an_unknown_path_is_a_problem_that_names_the_served_ones(client: Client, path: str) -> None:
    answer = client.get(path, headers={"X-Request-ID": "abc"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:aisle:problem:not-found"
    assert problem["request_id"] == "abc"
    assert "/similar-products" in problem["paths"]
    assert "/similar-products" in problem["detail"]


def test_the_wrong_method_is_a_problem(client: Client) -> None:
    answer = client.post("/health")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert "GET" in answer.headers["allow"]


def test_the_index_names_what_is_served(client: Client) -> None:
    for accept in ("*/*", "application/json"):
        answer = client.get("/", headers={"Accept": accept})
        assert answer.json()["functions"]["products"] == ["/products"]
        assert "Accept" in answer.headers["vary"].split(", ")


def test_a_browser_gets_the_storefront_at_the_root(client: Client) -> None:
    answer = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.json() == {"function": "web", "path": "/"}


def test_the_openapi_documents_become_one(client: Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert document["servers"][0]["url"] == "/"
    assert set(document["paths"]) == {"/" + entry.name for entry in manifest().of_kind("http")}


def test_the_openapi_document_is_revalidated(client: Client) -> None:
    tag = client.get("/openapi.json").headers["etag"]
    assert client.get("/openapi.json", headers={"If-None-Match": tag}).status_code == 304
    assert client.get("/openapi.json", headers={"If-None-Match": 'W/"other"'}).status_code == 200


def test_an_unknown_job_is_a_problem_that_names_the_jobs(client: Client) -> None:
    answer = client.post("/_jobs/nothing", JSON)
    assert answer.status_code == 404
    assert "similarity" in answer.json()["detail"]


def test_jobs_without_a_worker_are_unavailable(client: Client) -> None:
    assert client.post("/_jobs/popular", JSON).status_code == 503


def test_a_page_of_another_origin_may_read_the_answers(client: Client) -> None:
    answer = client.get("/openapi.json", headers={"Origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (JSON, 503),
        (JSON | {"Host": "127.0.0.1:8080"}, 503),
        (JSON | {"Host": "[::1]:8080"}, 503),
        (JSON | {"Sec-Fetch-Site": "none"}, 503),
        # a name of the attacker's that resolves to this machine
        (JSON | {"Host": "rebound.example:8080"}, 403),
        (JSON | {"Host": "localhost.rebound.example"}, 403),
        (JSON | {"Host": "[::1"}, 403),
        (JSON | {"Host": ""}, 403),
        (JSON | {"Origin": "https://shop.example"}, 403),
        (JSON | {"Origin": "http://localhost:8080"}, 403),
        (JSON | {"Origin": "null"}, 403),
        (JSON | {"Sec-Fetch-Site": "cross-site"}, 403),
        # what a form or a script may send to any server without a question before it
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({"Content-Type": "application/json-seq"}, 415),
    ],
)
def test_web_pages_cannot_run_jobs(client: Client, headers: dict[str, str], status: int) -> None:
    answer = client.post("/_jobs/popular", headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_another_origin_gets_no_leave_to_run_jobs(client: Client) -> None:
    question = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = client.request("OPTIONS", "/_jobs/popular", question | {"Access-Control-Request-Headers": "content-type"})
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers
    # the public routes keep answering pages of other origins
    assert client.request("OPTIONS", "/health", question).headers["access-control-allow-origin"] == "*"


def test_a_flood_of_readiness_checks_asks_each_service_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.http import health

    requested: list[str] = []

    def check(service: str) -> bool:
        requested.append(service)
        return service != "redis"

    monkeypatch.setattr(health, "check", check)
    monkeypatch.setattr(health, "CHECK_S", 60.0)
    flooded = Client()
    answers = [flooded.get("/health/ready") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {503}
    assert answers[-1].json()["checks"] == {"postgres": True, "redis": False, "pubsub": True, "model": True}
    assert flooded.get("/health").json()["redis"] == "unhealthy"
    assert sorted(requested) == ["model", "postgres", "pubsub", "redis"]
    # another gateway has results of its own
    assert Client().get("/health/ready").status_code == 503
    assert len(requested) == 8
