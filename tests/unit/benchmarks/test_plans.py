"""What `python -m benchmarks.plans` reads in the server's log."""

import json
from typing import Any

from benchmarks.plans import (
    NEIGHBOURS,
    SMALL,
    Scan,
    Statement,
    neighbour_rows,
    scans_of,
    sequential,
    statements_in,
    table,
)


def node(kind: str, relation: str | None = None, rows: float = 0, loops: int = 1, **more: Any) -> dict[str, Any]:
    named = {} if relation is None else {"Relation Name": relation}
    return {"Node Type": kind, "Actual Rows": rows, "Actual Loops": loops, **named, **more}


def logged(plan: dict[str, Any], text: str = "SELECT 1") -> bytes:
    """Return a plan as auto_explain logs it: continued lines begin with a tab."""
    document = json.dumps({"Query Text": text, "Plan": plan}, indent=2).replace("\n", "\n\t")
    return f"2026-11-26 18:00:00.000 UTC [42] LOG:  duration: 1.234 ms  plan:\n\t{document}\n".encode()


def test_rows_that_a_filter_removed_and_every_loop_count() -> None:
    inner = node("Index Scan", "products", 2.5, 4, **{"Index Name": "products_pkey", "Rows Removed by Filter": 1})
    plan = node("Nested Loop", Plans=[node("Seq Scan", "shop", 1), inner, node("CTE Scan")])
    assert list(scans_of(plan)) == [
        Scan("Seq Scan", "shop", None, 1),
        Scan("Index Scan", "products", "products_pkey", 14),
    ]


def test_a_node_that_never_ran_reads_nothing() -> None:
    assert list(scans_of(node("Append", Plans=[node("Seq Scan", "events", 0, 0)]))) == []


def test_plans_are_found_among_other_lines_of_the_log() -> None:
    plan = node("Seq Scan", "products", 7, **{"Shared Hit Blocks": 5, "Shared Read Blocks": 2})
    log = (
        b"2026-11-26 18:00:00.000 UTC [42] LOG:  checkpoint starting\n"
        + logged(plan, "SELECT\n1")
        + logged(node("Result"))
    )
    log += b"2026-11-26 18:00:00.000 UTC [42] ERROR:  canceling statement\n"
    assert statements_in(log) == [
        Statement("SELECT\n1", 7, (Scan("Seq Scan", "products", None, 7),)),
        Statement("SELECT 1", 0, ()),
    ]


def test_only_a_large_table_read_whole_is_a_fault() -> None:
    small, large = (Statement("SELECT", 1, (Scan("Seq Scan", "products", None, rows),)) for rows in (SMALL, SMALL + 1))
    by_index = Statement("SELECT", 1, (Scan("Index Scan", "products", "products_pkey", SMALL + 1),))
    combinations = Statement("SELECT", 1, (Scan("Seq Scan", "catalog_counts", None, SMALL + 1),))
    assert sequential({"a": [small], "b": [by_index], "c": [combinations]}) == []
    assert sequential({"a": [small, large]}) == [f"a: Seq Scan of products: {SMALL + 1:,} rows\n  SELECT"]


def test_the_table_names_the_largest_scan() -> None:
    statements = [
        Statement("SELECT 1", 3, (Scan("Seq Scan", "shop", None, 1), Scan("Index Scan", "products", "p", 20))),
        Statement("SELECT 2", 9, ()),
    ]
    assert table({"search": statements * 4}).splitlines()[2:] == [
        "| search | 1.0 | 9 | Index Scan of products by p: 20 rows |"
    ]


def test_one_product_of_several_has_neighbours() -> None:
    rows = list(neighbour_rows(range(100, 100 + NEIGHBOURS), 5))
    assert [row.split(b"\t")[0] for row in rows] == [b"100", b"105", b"110", b"115"]
    assert all(len(column.split(b",")) == NEIGHBOURS for column in rows[0].split(b"\t")[1:])


def test_a_neighbour_is_listed_once() -> None:
    for row in neighbour_rows(range(100, 100 + NEIGHBOURS), 1):
        others = row.split(b"\t")[1].strip(b"{}").split(b",")
        assert len(set(others)) == NEIGHBOURS
