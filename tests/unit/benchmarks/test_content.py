"""The table of `benchmarks.content`."""

from benchmarks import content


def test_a_night_of_an_earlier_release_left_nothing() -> None:
    nights = [
        content.Night("nothing changed", 1.26, 60.04, 0.51, {"embeddings_changed": 0}),
        content.Night("10 % changed", 12.5, 600, 2, {"embeddings_changed": 12_000, "embeddings_left": 3_000}),
    ]
    assert content.table(nights).splitlines()[2:] == [
        "| nothing changed | 1.3 | 60.0 | 0.5 | 0 | 0 |",
        "| 10 % changed | 12.5 | 600.0 | 2.0 | 12,000 | 3,000 |",
    ]
