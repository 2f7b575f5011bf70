"""What is stored in the tables."""

from shared.clients.postgres import read


def count_rows(table: str, condition: str = "true", **parameters: object) -> int:
    """Return the number of rows that meet a condition."""
    return int(read(f"SELECT count(*) FROM {table} WHERE {condition}", **parameters)[0][0])


def table_contents(*tables: str) -> list[str]:
    """Return all rows of each table as JSON, so that a test can compare them before and after a refused request."""
    return [
        str(read(f"SELECT coalesce(json_agg(t ORDER BY t::text), '[]')::text FROM {table} t")[0][0]) for table in tables
    ]
