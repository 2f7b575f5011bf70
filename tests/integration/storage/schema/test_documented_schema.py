"""docs/architecture.md draws the schema that the migrations make: every table, every column, every key."""

import re
from pathlib import Path

import pytest

from shared.clients.postgres import read

DOCUMENT = Path(__file__).parents[4] / "docs/architecture.md"
TABLE = re.compile(r"^    (\w+) \{\n(.*?)^    \}", re.MULTILINE | re.DOTALL)

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL), coalesce(a.attnum = ANY (k.conkey), false)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped
"""
# as the diagrams write a type of Postgres; a word of a diagram has no spaces and no brackets
WRITTEN = {
    "timestamp with time zone": "timestamptz",
    "double precision": "double",
    "bigint[]": "bigint_array",
    "integer[]": "integer_array",
    "real[]": "real_array",
    "text[]": "text_array",
    "catalog_cell[]": "catalog_cell_array",
    "catalog_variant[]": "catalog_variant_array",
}


def drawn() -> dict[str, dict[str, tuple[str, bool]]]:
    """Return each drawn table's columns: name to type and whether it is in the primary key."""
    tables = {}
    for name, body in TABLE.findall(DOCUMENT.read_text()):
        assert name not in tables, f"{name} is drawn twice"
        columns = tables[name] = {}
        for line in body.splitlines():
            kind, column, *rest = line.split(maxsplit=2)
            columns[column] = (kind, bool(re.match(r"PK\b", rest[0])) if rest else False)
    return tables


@pytest.mark.usefixtures("env")
def test_the_diagrams_show_the_tables_and_columns_of_the_migrations() -> None:
    expected: dict[str, dict[str, tuple[str, bool]]] = {}
    for table, column, kind, key in read(COLUMNS):
        expected.setdefault(table, {})[column] = (WRITTEN.get(kind, kind), key)
    assert drawn() == expected
