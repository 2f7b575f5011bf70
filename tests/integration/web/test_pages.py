"""The pages and their files: what a browser gets, and what no path reaches."""

import gzip
import json

import httpx
import pytest

from functions.web import files
from tests.integration.conftest import Environment, Serve

PAGE = "text/html; charset=utf-8"


@pytest.fixture
def web(module_env: Environment, serve: Serve) -> httpx.Client:
    return serve("web")


@pytest.mark.parametrize("path", ["/", "/console", "/console/", "/console/anything"])
def test_a_page_runs_only_scripts_and_styles_of_its_own_files(web: httpx.Client, path: str) -> None:
    answer = web.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, PAGE)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert answer.headers["cache-control"] == "no-cache"
    for inline in ("<style", "style=", "onclick=", "<script>"):
        assert inline not in answer.text


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("vendor/preact.js", "text/javascript; charset=utf-8"),
        ("vendor/uplot.css", "text/css; charset=utf-8"),
        ("vendor/vendored.json", "application/json"),
        ("vendor/LICENSE.htm.txt", "text/plain; charset=utf-8"),
        ("storefront/index.html", PAGE),
    ],
)
def test_a_file_is_served_as_it_is(web: httpx.Client, name: str, content_type: str) -> None:
    plain = web.get(f"/web/{name}", headers={"Accept-Encoding": "identity"})
    assert plain.content == (files.ROOT / name).read_bytes()
    assert plain.headers["content-type"] == content_type
    assert "content-encoding" not in plain.headers


def test_a_file_is_compressed_and_each_form_has_a_strong_tag_of_its_own(web: httpx.Client) -> None:
    path = "/web/vendor/uplot.js"
    with web.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
        compressed_tag = answer.headers["etag"]
        assert answer.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in answer.headers["vary"]
    plain = web.get(path, headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2
    assert compressed_tag != plain.headers["etag"]
    assert not compressed_tag.startswith("W/")
    again = web.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": compressed_tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", compressed_tag)
    # the tag of the other form is another body's
    assert web.get(path, headers={"Accept-Encoding": "identity", "If-None-Match": compressed_tag}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/web/../functions.yaml",
        "/web/%2e%2e/functions.yaml",
        "/web/..%2ffunctions.yaml",
        "/web/vendor/..%2f..%2ffunctions.yaml",
        "/web/%2fetc/hostname.txt",
        "/web/vendor//preact.js",
        "/web/vendor",
        "/web/.hidden.js",
        "/web/vendor/missing.js",
        "/web/vendor/preact.js%00.txt",
        "/web/",
        "/web",
        "/console.html",
    ],
)
def test_nothing_else_is_served(web: httpx.Client, path: str) -> None:
    # a client that sends the path unchanged: httpx resolves dots
    request = web.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = web.send(request)
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_snippet_has_a_short_address(web: httpx.Client) -> None:
    answer = web.get("/aisle.js")
    assert (answer.status_code, answer.text) == (200, (files.ROOT / "aisle.js").read_text())


def test_every_served_file_is_text_that_an_archive_can_hold() -> None:
    for path in files.ROOT.rglob("*"):
        if path.is_file():
            # types for the development of the pages are not served
            assert path.suffix in {*files.CONTENT_TYPES, ".ts"}, path
            path.read_text(encoding="utf-8")
            if path.suffix == ".json":
                json.loads(path.read_text())
