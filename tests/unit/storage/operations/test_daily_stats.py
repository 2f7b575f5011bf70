"""Days that follow each other are read at once."""

from datetime import date

import pytest

from shared.storage.operations.daily_stats import spans_of


def days(*numbers: int) -> list[date]:
    return [date(2026, 1, number) for number in numbers]


@pytest.mark.parametrize(
    ("listed", "spans"),
    [
        ([], []),
        ([5], [(5, 5)]),
        ([5, 6, 7], [(5, 7)]),
        ([5, 7], [(5, 5), (7, 7)]),
        ([7, 5, 6, 9, 5], [(5, 7), (9, 9)]),
    ],
)
def test_spans_have_exactly_the_days(listed: list[int], spans: list[tuple[int, int]]) -> None:
    assert spans_of(days(*listed)) == [tuple(days(*span)) for span in spans]


def test_a_span_goes_on_over_the_end_of_a_month() -> None:
    assert spans_of([date(2026, 3, 1), date(2026, 2, 28)]) == [(date(2026, 2, 28), date(2026, 3, 1))]
