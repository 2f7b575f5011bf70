"""The results of training and evaluation, and the report page."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import httpx

from jobs.evaluation import Evaluation, evaluation
from shared.clients.postgres import transaction
from shared.storage.operations import training_runs
from tests.integration.shop import add_two_kinds_of_users


class Outside(HTMLParser):
    """Collects everything that a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "iframe", "img", "object", "embed", "form", "base"}:
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href"} or name.startswith("on")]


def test_an_evaluation_writes_a_self_contained_page(client: httpx.Client) -> None:
    add_two_kinds_of_users()
    evaluation.run(Evaluation(days=14, time_budget_s=0))
    answer = client.get("/admin/training-runs", params={"job": "evaluation"})
    (run,) = answer.json()["runs"]
    assert (run["job"], run["outcome"]) == ("evaluation", "evaluated")
    assert "report" not in run["details"]
    assert [result["mode"] for result in run["details"]["results"]] == ["new-only", "repeats"]
    page = client.get(run["report"])
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "no-cache" in page.headers["cache-control"]
    assert page.text.startswith("<!doctype html>")
    assert page.text.count("<svg") >= 6
    assert "NDCG@20" in page.text
    outside = Outside()
    outside.feed(page.text)
    assert outside.found == []
    assert not re.search(r"url\(|@import", page.text)


def test_runs_are_listed_newest_first_a_page_at_a_time(client: httpx.Client) -> None:
    with transaction() as connection:
        for job, outcome in (("similarity", "kept"), ("evaluation", "nothing to measure"), ("similarity", "kept")):
            training_runs.add(connection, job, datetime.now(UTC), outcome, {"reason": "for this test"})
    page = client.get("/admin/training-runs", params={"page_size": 2}).json()
    assert [run["job"] for run in page["runs"]] == ["similarity", "evaluation"]
    assert (page["total"], page["total_pages"]) == (3, 2)
    assert page["runs"][0]["report"] is None
    assert page["runs"][0]["details"] == {"reason": "for this test"}
    page = client.get("/admin/training-runs", params={"job": "similarity"}).json()
    assert [run["job"] for run in page["runs"]] == ["similarity", "similarity"]
    assert page["total"] == 2
    assert client.get("/admin/training-runs", params={"job": "trending"}).status_code == 422


def test_a_run_without_a_report_is_a_problem_that_names_the_list_of_runs(client: httpx.Client) -> None:
    with transaction() as connection:
        training_runs.add(connection, "evaluation", datetime.now(UTC), "nothing to measure", {"report": None})
    run = client.get("/admin/training-runs").json()["runs"][0]
    for path in (f"/admin/training-runs/{run['id']}/report", "/admin/training-runs/999999/report"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:aisle:problem:not-found"
        assert "/admin/training-runs" in answer.json()["detail"]
    assert client.get("/admin/training-runs/0/report").status_code == 422
