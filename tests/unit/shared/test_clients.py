"""Clients connect and run statements; only shared/storage names tables."""

import ast
import re
from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared"
MIGRATIONS = "".join(file.read_text() for file in sorted((SHARED / "sql" / "migrations").glob("*.sql")))
TABLES = set(re.findall(r"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", MIGRATIONS))


def tables_in(source: str) -> set[str]:
    """Return the tables that the strings of a module's statements name."""
    strings = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|COPY)\s+(\w+)", "\n".join(strings), flags=re.IGNORECASE)
    return TABLES & set(named)


def test_no_client_names_a_table() -> None:
    clients = sorted((SHARED / "clients").glob("*.py"))
    assert {"postgres.py", "redis_sync.py"} <= {file.name for file in clients}
    assert {file.name: tables for file in clients if (tables := tables_in(file.read_text()))} == {}


def test_tables_are_recognized() -> None:
    assert "job_runs" in tables_in((SHARED / "storage" / "operations" / "job_runs.py").read_text())
    assert len(TABLES) > 20
