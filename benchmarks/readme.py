"""The README's table of figures, as ``python -m benchmarks --readme`` prints it: every cell comes from a benchmark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.frame import Row

# rows of one benchmark by name
Rows = Mapping[str, Row]


@dataclass(frozen=True)
class Line:
    """A line of the table.

    benchmark : a name in ``BENCHMARKS`` of benchmarks/__main__.py.  rows : the names of its rows that ``text`` needs.
    text : returns the second cell.  command : measures this line alone.
    """

    what: str
    benchmark: str
    rows: tuple[str, ...]
    text: Callable[[Rows], str]
    command: str


def _number(row: Row) -> str:
    return f"{row.value:,.0f}" if row.value >= 10 else f"{row.value:.1f}"


def _percentiles(first: str, second: str) -> Callable[[Rows], str]:
    return lambda rows: f"p50 {_number(rows[first])} ms, p95 {_number(rows[second])} ms"


def _quality(name: str) -> Callable[[Rows], str]:
    return lambda rows: f"{rows[name].value:.3f}; {rows[name].note}"


LINES: Final = (
    Line(
        "cached recommendation, one process",
        "cached",
        ("cached recommendation", "… p99"),
        lambda rows: f"{_number(rows['cached recommendation'])} requests/s, p99 {_number(rows['… p99'])} ms",
        "./aisle bench cached",
    ),
    Line(
        "computed recommendation, 10,000 products, 1,000,000 events",
        "computed",
        ("computed recommendation, p50", "… p95"),
        _percentiles("computed recommendation, p50", "… p95"),
        "./aisle bench computed",
    ),
    Line(
        "event sent until the recommendation has changed",
        "freshness",
        ("… p95",),
        lambda rows: f"p95 {_number(rows['… p95'])} ms",
        "./aisle bench freshness",
    ),
    Line(
        "neighbours from 25 million events, 60,000 products",
        "similarity",
        ("similarity at scale", "… peak memory"),
        lambda rows: f"{_number(rows['similarity at scale'])} s, {rows['… peak memory'].value / 1000:.2f} GB",
        "./aisle bench similarity",
    ),
    Line(
        "NDCG@20 of new products on online_retail",
        "quality_readme",
        ("quality, online_retail, new",),
        _quality("quality, online_retail, new"),
        "python -m benchmarks.quality online_retail --new-only --data DIR --budget 60",
    ),
    Line(
        "NDCG@20 of the next product in click sessions",
        "quality_readme",
        ("quality, sessions, new",),
        _quality("quality, sessions, new"),
        "python -m benchmarks.quality sessions --new-only --data DIR --budget 60",
    ),
)


def table(rows: Mapping[str, Sequence[Row]]) -> str:
    """Return the README's table from the rows of each benchmark. A line whose rows are missing says so."""
    lines = ["| what | measured | command |", "|---|---|---|"]
    for line in LINES:
        by_name = {row.name: row for row in rows.get(line.benchmark, ())}
        text = line.text(by_name) if all(name in by_name for name in line.rows) else "not measured"
        lines.append(f"| {line.what} | {text} | `{line.command}` |")
    return "\n".join(lines)
