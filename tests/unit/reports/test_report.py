"""The page of an evaluation: the figures that it shows."""

import re

from jobs.data.catalog import Catalog
from jobs.offline.split import split_last_days
from jobs.reports.offline_evaluation import evaluate
from jobs.reports.report import render_page
from tests.unit.offline import data


def test_the_page_has_the_quality_of_each_length_of_history_beside_popular_and_the_best_single_model() -> None:
    split = split_last_days(data.shop(), 7, new_only=False)
    evaluation = evaluate(split, Catalog.unknown(60), time_budget_s=1).as_json()
    groups, best = evaluation["by_history"], evaluation["best_single_model"]
    assert best is not None
    table = next(
        table for table in re.findall(r"<table>.*?</table>", render_page([evaluation])) if "events (users)" in table
    )
    rows = {row[0]: row[1:] for row in (re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr")[2:])}
    for name, label in (
        ("served", "served"),
        ("most popular", "most popular"),
        ("recently popular", "recently popular"),
        (best, f"{best} (best single model)"),
    ):
        assert rows[label] == [f"{group[name]:.4f}" for group in groups]
    assert sum("best single model" in label for label in rows) == 1
    assert re.findall(r"\((\d+)\)</th>", table) == [str(group["users"]) for group in groups]
    assert sum(group["users"] for group in groups) == evaluation["users"]
