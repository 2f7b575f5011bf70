"""The size of pieces of work in rows: each takes about the permitted time, on a machine of any speed and load."""

from typing import Final

# A piece with fewer rows costs more for itself than for its rows.
LEAST_ROWS: Final = 50


def next_rows(rows: int, took_s: float, target_s: float, most: int) -> int:
    """Return how many rows the next piece may have, after one of ``rows`` rows took ``took_s``.

    From LEAST_ROWS to ``most``, and at most twice as many: a fast piece may have been an easy one.
    """
    fitting = int(rows * target_s / took_s) if took_s > 0 else most
    return min(most, max(LEAST_ROWS, min(2 * rows, fitting)))
