"""Pieces of work keep to their time: fewer rows after a slow one, more after a fast one, within limits."""

import pytest

from shared.domain.pacing import LEAST_ROWS, next_rows


@pytest.mark.parametrize(
    ("rows", "took_s", "expected"),
    [
        (500, 1.0, 500),
        (500, 1.01, 495),
        (500, 4.0, 125),
        (500, 1000.0, LEAST_ROWS),
        # never more than the most, nor than twice as many as before
        (500, 0.1, 500),
        (200, 0.1, 400),
        (LEAST_ROWS, 1000.0, LEAST_ROWS),
        # a clock that did not move
        (200, 0.0, 400),
    ],
)
def test_the_next_piece_takes_about_its_time(rows: int, took_s: float, expected: int) -> None:
    assert next_rows(rows, took_s, target_s=1.0, most=500) == expected


def test_a_most_below_the_least_is_kept() -> None:
    assert next_rows(1, 0.001, target_s=1.0, most=1) == 1
