"""README's table of figures is the one that a command prints."""

import re
from pathlib import Path

from benchmarks.__main__ import BENCHMARKS
from benchmarks.frame import Row
from benchmarks.readme import LINES, table

README = Path(__file__).parents[3] / "README.md"

ROWS = {
    "cached": [Row("cached recommendation", 11348.6, "requests/s"), Row("… p99", 3.944, "ms")],
    "computed": [Row("computed recommendation, p50", 7.234, "ms"), Row("… p95", 18.4, "ms")],
    "freshness": [Row("event sent → changed recommendation, p50", 9.0, "ms"), Row("… p95", 22.2, "ms")],
    "similarity": [Row("similarity at scale", 73.2, "s"), Row("… peak memory", 1430.0, "MB")],
    "quality_readme": [Row("quality, online_retail, new", 0.1444, "ndcg@20", note="best peer (EASE) 0.104")],
}


def test_each_cell_comes_from_the_rows_of_its_benchmark() -> None:
    cells = [line.split(" | ")[1] for line in table(ROWS).splitlines()[2:]]
    assert cells == [
        "11,349 requests/s, p99 3.9 ms",
        "p50 7.2 ms, p95 18 ms",
        "p95 22 ms",
        "73 s, 1.43 GB",
        "0.144; best peer (EASE) 0.104",
        "not measured",
    ]


def test_readme_has_the_lines_and_commands_of_the_table() -> None:
    printed = [(cells[0], cells[2]) for cells in map(_cells, table({}).splitlines())]
    figures = README.read_text(encoding="utf-8").split("## Figures")[1].split("\n## ")[0]
    shown = [(cells[0], cells[2]) for cells in map(_cells, re.findall(r"^\|.*\|$", figures, re.MULTILINE))]
    assert shown == printed


def test_every_line_has_a_benchmark() -> None:
    assert {line.benchmark for line in LINES} <= BENCHMARKS.keys()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
