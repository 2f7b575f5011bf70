"""Links to reports: a browser that opens a page sends no token, so a link opens one report once."""

import os
from datetime import UTC, datetime

import httpx
import pytest

from local.processes import free_port
from shared.clients import redis_sync, reset
from shared.clients.postgres import transaction
from shared.storage.operations import training_runs
from tests.integration.conftest import Serve


@pytest.fixture
def runs(client: httpx.Client) -> list[int]:
    """Two runs with reports, and one without."""
    for number, report in enumerate(("<!doctype html>first", "<!doctype html>second", None)):
        with transaction() as connection:
            training_runs.add(connection, "evaluation", datetime.now(UTC), str(number), {"report": report})
    listed = client.get("/admin/training-runs").json()["runs"]
    return [run["id"] for run in reversed(listed)]


def issue(client: httpx.Client, run_id: int) -> str:
    answer = client.post(f"/admin/training-runs/{run_id}/report-link")
    assert answer.status_code == 201, answer.text
    assert answer.json()["expires_in"] == 300
    url: str = answer.json()["url"]
    return url


@pytest.fixture
def browser(runs: list[int], serve: Serve) -> httpx.Client:
    """A browser: it sends no token."""
    stranger = serve("admin")
    stranger.headers.pop("Authorization", None)
    return stranger


def test_a_link_opens_its_report_once(client: httpx.Client, browser: httpx.Client, runs: list[int]) -> None:
    first, second = issue(client, runs[0]), issue(client, runs[1])
    page = browser.get(first)
    assert (page.status_code, page.text) == (200, "<!doctype html>first")
    assert "sandbox" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "no-store" in page.headers["cache-control"]
    again = browser.get(first)
    assert (again.status_code, again.json()["type"]) == (403, "urn:aisle:problem:forbidden")
    # the other link is as good as before
    assert browser.get(second).text == "<!doctype html>second"


def test_a_link_opens_no_other_report_and_ends(client: httpx.Client, browser: httpx.Client, runs: list[int]) -> None:
    link = issue(client, runs[0])
    token = link.partition("=")[2]
    assert browser.get(f"/admin/training-runs/{runs[1]}/report", params={"link": token}).status_code == 403
    assert browser.get(link).status_code == 403


def test_a_request_for_the_headers_does_not_use_a_link_up(
    client: httpx.Client, browser: httpx.Client, runs: list[int]
) -> None:
    link = issue(client, runs[0])
    # a program that looks ahead, twice; for another report the link is no good, and stays
    assert [browser.head(link).status_code for _ in range(2)] == [200, 200]
    elsewhere = browser.head(f"/admin/training-runs/{runs[1]}/report", params={"link": link.partition("=")[2]})
    assert elsewhere.status_code == 403
    assert browser.get(link).text == "<!doctype html>first"
    assert browser.head(link).status_code == 403


def test_while_redis_is_away_a_link_is_neither_refused_nor_used_up(
    client: httpx.Client, browser: httpx.Client, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = issue(client, runs[0])
    redis_url = os.environ["REDIS_URL"]
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    reset()
    for answer in (browser.get(link), browser.head(link)):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert browser.get(link).json()["type"] == "urn:aisle:problem:unavailable"
    # the bystander: a member of staff reads the report with a token
    report = link.partition("?")[0]
    assert client.get(report).text == "<!doctype html>first"
    monkeypatch.setenv("REDIS_URL", redis_url)
    reset()
    assert browser.get(link).text == "<!doctype html>first"


def test_a_link_expires(client: httpx.Client, browser: httpx.Client, runs: list[int]) -> None:
    link = issue(client, runs[0])
    redis = redis_sync.client()
    (key,) = list(redis.scan_iter("report-link:*"))
    assert 0 < redis.ttl(key) <= 300
    # the key does not hold the token
    assert link.partition("=")[2].encode() not in key
    redis.delete(key)
    assert browser.get(link).status_code == 403


@pytest.mark.parametrize("link", ["nonsense", "a" * 43])
def test_an_invented_link_is_refused(browser: httpx.Client, runs: list[int], link: str) -> None:
    assert browser.get(f"/admin/training-runs/{runs[0]}/report", params={"link": link}).status_code == 403


def test_without_link_and_token_the_report_is_closed(browser: httpx.Client, runs: list[int]) -> None:
    assert browser.get(f"/admin/training-runs/{runs[0]}/report").status_code == 401
    assert browser.post(f"/admin/training-runs/{runs[0]}/report-link").status_code == 401


def test_a_run_without_a_report_has_no_link(client: httpx.Client, runs: list[int]) -> None:
    assert client.post(f"/admin/training-runs/{runs[2]}/report-link").status_code == 404
