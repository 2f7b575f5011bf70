"""Advisory locks have one home: no other module has a number, and the migrations use the same numbers."""

import re
from pathlib import Path

from shared.storage.schema import advisory_locks

ROOT = Path(__file__).parents[4]
NUMBER = re.compile(r"\b4_?711(?:_?\d{3})?\b")
HOME = ROOT / "shared" / "storage" / "schema" / "advisory_locks.py"


def test_no_other_module_states_the_number_of_a_lock() -> None:
    sources = [file for folder in ("functions", "jobs", "shared", "local") for file in (ROOT / folder).rglob("*.py")]
    assert HOME in sources
    assert [str(file.relative_to(ROOT)) for file in sources if file != HOME and NUMBER.search(file.read_text())] == []


def test_migrations_lock_by_the_same_numbers() -> None:
    sql = "".join(file.read_text() for file in sorted((ROOT / "shared" / "sql" / "migrations").glob("*.sql")))
    numbers = re.findall(r"pg_(?:try_)?advisory_xact_lock\((\d+)\)", sql)
    assert {int(number) for number in numbers} == {
        advisory_locks.SEARCH_VOCABULARY,
        advisory_locks.CONTENT,
        advisory_locks.CATALOG_COUNTS,
    }
