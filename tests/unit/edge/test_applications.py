"""An application is imported when it is first asked for, once, and alone; one that cannot be imported is a problem."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from functions.edge import applications
from functions.edge.applications import Applications
from local.places import ROOT

# sends requests that are refused before they need a service, and prints which functions are imported after each
PROBE = """
import asyncio, json, sys
import httpx
import functions_framework.aio
app = functions_framework.aio.create_asgi_app("edge", "main.py", "http")

def imported():
    return sorted({name.split(".")[1] for name in sys.modules if name.startswith("functions.") and name.count(".") > 1})

async def ask():
    seen = [[None, imported()]]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge") as client:
        for path in sys.argv[1:]:
            answer = await client.get(path)
            seen.append([answer.status_code, imported()])
    print(json.dumps(seen))

asyncio.run(ask())
"""


def request(path: str = "/products") -> Request:
    return Request({"type": "http", "method": "GET", "path": path, "headers": [(b"x-request-id", b"r1")]})


def test_an_instance_imports_what_it_is_asked_for_and_no_more() -> None:
    paths = ["/products?colour=red", "/trending?colour=red", "/api/v1/products?colour=blue", "/aisle.js"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROBE, *paths],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [
        [None, ["edge"]],
        [422, ["edge", "products"]],
        [422, ["edge", "products", "recommendations"]],
        [422, ["edge", "products", "recommendations"]],
        [200, ["edge", "products", "recommendations", "web"]],
    ]


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts of imports by name; they wait for each other, so that all requests come before the first has ended."""
    counts: dict[str, int] = {}
    lock = threading.Lock()

    def imported(name: str) -> Any:
        with lock:
            counts[name] = counts.get(name, 0) + 1
            if name == "broken" and counts[name] == 1:
                raise ImportError("no module of that name")

        async def application(_request: Request) -> Response:
            return PlainTextResponse(name)

        return application

    monkeypatch.setattr(applications, "imported", imported)
    return counts


def test_requests_that_come_together_import_an_application_once(imports: dict[str, int]) -> None:
    async def ask() -> list[Any]:
        served = Applications({})
        return await asyncio.gather(*(served.load(name) for name in ("cart", "cart", "admin", "cart")))

    first, second, other, third = asyncio.run(ask())
    assert first is second is third
    assert first is not other
    assert imports == {"cart": 1, "admin": 1}


def test_a_request_that_is_given_up_does_not_stop_the_import(imports: dict[str, int]) -> None:
    async def ask() -> Applications:
        served = Applications({})
        given_up, waiting = asyncio.create_task(served.load("cart")), asyncio.create_task(served.load("cart"))
        await asyncio.sleep(0)
        given_up.cancel()
        await waiting
        return served

    assert list(asyncio.run(ask()).loaded) == ["cart"]
    assert imports == {"cart": 1}


def test_an_import_that_fails_is_a_problem_and_is_tried_again(
    imports: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> tuple[Response, Response, list[str]]:
        served = Applications({})
        with caplog.at_level(logging.ERROR):
            refusal = await (await served.load("broken"))(request())
        assert not served.loaded
        answer = await (await served.load("broken"))(request())
        return refusal, answer, list(served.loaded)

    refusal, answer, loaded = asyncio.run(ask())
    assert (refusal.status_code, refusal.media_type) == (500, "application/problem+json")
    problem = json.loads(bytes(refusal.body))
    assert (problem["type"], problem["instance"], problem["request_id"]) == (
        "urn:aisle:problem:internal-error",
        "/products",
        "r1",
    )
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [(record.message, vars(record)["application"]) for record in errors] == [
        ("application not imported", "broken")
    ]
    assert (answer.body, loaded) == (b"broken", ["broken"])


def test_what_a_function_does_at_its_start_is_done_when_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    import functions.events.main as events

    started = []
    monkeypatch.setattr(events.events, "at_start", lambda: started.append("events"))
    assert applications.imported("events") is events.events
    assert applications.imported("cart").__name__ == "cart"
    assert started == ["events"]
