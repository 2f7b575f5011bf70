"""Figures, table and plot of `python -m benchmarks.histories`."""

import json
import re
from dataclasses import asdict

import pytest

from benchmarks.growth_plot import LINE, apart, decades
from benchmarks.histories import FURTHER, Cost, History, extrapolated, factors, pages_per_request, plot, size_of, table
from benchmarks.plans import Statement


def history(events: int, level: float, rising: float) -> History:
    return History(events, 10, 1.0, 0.1, {"search": Cost(level, level), "job trending": Cost(rising, rising)})


def test_pages_of_all_statements_are_divided_by_the_requests() -> None:
    assert pages_per_request([Statement("a", 3, ()), Statement("b", 5, ()), Statement("c", 1, ())], 2) == 4.5


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(10, 20, 40), (10, 10, 10), (10, 9, 9), (0, 1, 1), (0, 4, 16), (0, 0, 0)]
)
def test_what_grew_is_extrapolated_and_what_did_not_stays(before: float, after: float, expected: float) -> None:
    assert extrapolated([FURTHER // 100, FURTHER // 10], [before, after], 1) == pytest.approx(expected)


def test_a_cost_in_proportion_stays_so_whatever_the_sizes() -> None:
    assert extrapolated([1000, 3000], [2, 6], 1) == pytest.approx(2 * FURTHER / 1000)


def test_growth_of_what_is_too_small_to_measure_is_not_stated() -> None:
    assert factors([0.1, 0.2, 0.4], 0.2) == "–, 2.00 ×"
    assert factors([4, 4, 2], 0.2) == "1.00 ×, 0.50 ×"


def test_the_table_has_a_row_for_each_request() -> None:
    lines = table([history(1_000_000, 5, 10), history(10_000_000, 5, 100)]).splitlines()
    assert "100,000,000 events, extrapolated" in lines[0]
    assert lines[2:] == [
        "| search | 5 | 5 | 1.00 × | 5.00 | 5.00 | 1.00 × | 5; 5.00 |",
        "| job trending | 10 | 100 | 10.00 × | 10.00 | 100.00 | 5.00 × | 1,000; 500.00 |",
    ]
    assert {line.count("|") for line in lines} == {9}


def test_a_stored_history_is_read_back() -> None:
    written = history(1000, 5, 10)
    assert History.from_json(json.loads(json.dumps(asdict(written)))) == written


def test_a_size_is_events_and_users() -> None:
    assert size_of("1000:20") == (1000, 20)
    for text in ("1000", "0:5", "1:0", "a:b"):
        with pytest.raises(ValueError, match="EVENTS:USERS"):
            size_of(text)


def test_a_level_cost_is_a_level_line_and_a_proportional_one_rises() -> None:
    svg = plot([history(1000, 5, 10), history(10_000, 5, 100)])
    level, rising = (
        [tuple(map(float, point.split(","))) for point in line.split('"')[0].split()]
        for line in svg.split('points="')[1:3]
    )
    assert level[0][1] == level[1][1]
    assert rising[0][1] > rising[1][1]
    assert level[0][0] == rising[0][0]


def test_axes_are_labelled_with_whole_numbers() -> None:
    svg = plot([history(100_000, 0.5, 10), history(1_000_000, 0.5, 2_000_000)])
    labels = re.findall(r'text-anchor="(?:end|middle)">([^<]+)<', svg)
    assert {"0.1", "1", "100,000", "1,000,000", "10,000,000"} <= set(labels)
    assert not [label for label in labels if "e+" in label]


def test_axes_enclose_the_values() -> None:
    assert decades([3, 700]) == (0, 3)
    assert decades([10, 10]) == (1, 2)
    assert decades([0.05]) == (-2, -1)


def test_names_of_lines_do_not_overlap() -> None:
    placed = apart([100, 101, 300, 90])
    assert placed[3] == 90
    assert sorted(placed)[-1] == 300
    assert all(b - a >= LINE for a, b in zip(sorted(placed), sorted(placed)[1:], strict=False))
