"""Tables of the commands `benchmarks.content` and `benchmarks.imports_growth`."""

from benchmarks import content, imports_growth


def test_a_night_of_an_earlier_release_left_nothing() -> None:
    nights = [
        content.Night("nothing changed", 1.26, 60.04, 0.51, {"embeddings_changed": 0}),
        content.Night("10 % changed", 12.5, 600, 2, {"embeddings_changed": 12_000, "embeddings_left": 3_000}),
    ]
    assert content.table(nights).splitlines()[2:] == [
        "| nothing changed | 1.3 | 60.0 | 0.5 | 0 | 0 |",
        "| 10 % changed | 12.5 | 600.0 | 2.0 | 12,000 | 3,000 |",
    ]


def test_an_import_is_divided_by_its_products() -> None:
    rows = imports_growth.table([imports_growth.Import(10_000, 25.0, 30.05, 41.26)]).splitlines()
    assert rows[2:] == ["| 10,000 | 25.0 | 2.50 | 30.1 | 41.3 |"]
