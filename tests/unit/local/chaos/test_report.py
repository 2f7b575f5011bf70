"""The report complains about everything that must not be, and about nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.chaos.faults import FAULTS, SHORT
from local.chaos.report import BEGIN, END, MAX_RECOVERY_S, PAGE, Outcome, put_into, table
from local.errors import CommandError

GOOD = Outcome(
    FAULTS["kill-redis"],
    8,
    requests=900,
    errors=40,
    longest_read_s=5,
    longest_wait_s=20,
    max_read_s=14,
    recovery_s=MAX_RECOVERY_S,
    repeats_s=25,
    max_repeats_s=25,
    drain_s=68,
    max_drain_s=68,
)


def test_what_is_at_its_limit_is_no_complaint() -> None:
    assert GOOD.complaints == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lost": 1}, "lost 1"),
        ({"doubled": 2}, "doubled 2"),
        ({"wrong": ["500 GET /products"]}, "1 answers that no fault may cause: 500 GET /products"),
        ({"given_up": ["PATCH /products/7"]}, "1 requests given up: PATCH /products/7"),
        ({"stale": ["price of product 3"]}, "1 stale answers: price of product 3"),
        ({"recovery_s": MAX_RECOVERY_S + 0.1}, "new requests failed until 10.1 s after the end"),
        ({"repeats_s": 25.1}, "interrupted requests failed until 25.1 s after the end"),
        ({"drain_s": 68.1}, "the backlog took 68.1 s"),
        ({"longest_read_s": 14.1}, "a reader waited 14.1 s"),
    ],
)
def test_each_failure_is_a_complaint(change: dict[str, Any], complaint: str) -> None:
    assert replace(GOOD, **change).complaints == [complaint]


def test_readers_of_functions_that_do_not_run_may_wait() -> None:
    assert replace(GOOD, fault=FAULTS["stop-gateway"], longest_read_s=30).complaints == []


def test_a_row_has_every_figure() -> None:
    row = table([replace(GOOD, lost=3, doubled=4, wrong=["500 GET /"])]).splitlines()[-1]
    assert row == "| kill -9 of Redis | 900 | 40 | 20.0 s | 3 | 4 | 10.0 s | 25.0 s | 68.0 s | 68 s | 1 |"


def test_the_table_of_the_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    put_into(page, f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(CommandError, match="must have one line"):
        put_into(page, "no marks", "new")


def test_the_page_has_a_place_for_the_table_and_names_every_fault() -> None:
    page = PAGE.read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    assert [name for name in FAULTS if f"`{name}`" not in page] == []


def test_the_short_form_knows_its_faults() -> None:
    assert set(SHORT) <= set(FAULTS)
