"""The API reference: a page of our own over the description of all functions, without any other host."""

import gzip
import json
import re

import httpx
import pytest

from functions.web import files
from local.openapi import FILE
from shared.manifest import manifest
from tests.integration.conftest import Environment, Serve, Server

# what a page, a style sheet or a module loads
REFERENCE = re.compile(r"""(?:\b(?:src|href)=|\bfrom ?|\bimport ?|url\()["']((?:\.{0,2}/|https?:)[^"'\s]+)["']""")


@pytest.fixture
def web(module_env: Environment, serve: Serve) -> httpx.Client:
    return serve("web")


def test_the_page_and_all_that_it_loads_are_served_here(web: httpx.Client) -> None:
    page = web.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "unsafe" not in page.headers["content-security-policy"]
    waiting, seen = ["/docs"], set()
    while waiting:
        path = waiting.pop()
        if path in seen or path.startswith(("data:", "#")):
            continue
        seen.add(path)
        answer = web.get(path)
        assert answer.status_code == 200, path
        if path.endswith(".json"):
            continue
        for target in REFERENCE.findall(answer.text):
            assert not target.startswith(("http:", "https:", "//")), target
            waiting.append(str(httpx.URL(path).join(target)))
    assert {"/web/docs/docs.js", "/web/docs/docs.css", "/web/docs/openapi.json", "/web/vendor/preact.js"} <= seen
    sizes = [
        len(gzip.compress((files.ROOT / path.removeprefix("/web/")).read_bytes(), 9))
        for path in seen
        if path.startswith("/web/")
    ]
    assert sum(sizes) < 100_000


def test_no_function_has_a_page_that_loads_scripts_of_other_hosts(module_env: Environment, serve: Serve) -> None:
    for path in ("/docs", "/redoc"):
        assert serve("products").get(path).status_code == 404


def test_the_gateway_describes_what_the_page_shows(module_env: Environment) -> None:
    from local.apps import create
    from local.gateway import gateway

    with Server(gateway(manifest(), create)) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        answer = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.json() == json.loads(FILE.read_text())
        tag = answer.headers["etag"]
        assert client.get("/openapi.json", headers={"If-None-Match": tag}).status_code == 304
        assert client.get("/docs").headers["content-type"].startswith("text/html")
