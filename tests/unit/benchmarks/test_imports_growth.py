"""The table of `benchmarks.imports_growth`."""

from benchmarks import imports_growth


def test_an_import_is_divided_by_its_products() -> None:
    rows = imports_growth.table([imports_growth.Import(10_000, 25.0, 30.05, 41.26)]).splitlines()
    assert rows[2:] == ["| 10,000 | 25.0 | 2.50 | 30.1 | 41.3 |"]
