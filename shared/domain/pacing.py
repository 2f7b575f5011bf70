"""Adaptive batch sizes, in rows, so that each batch takes about the target time on a machine of any speed and load."""

from typing import Final

# In a smaller batch, the fixed cost would exceed the cost of the rows.
LEAST_ROWS: Final = 50


def next_rows(rows: int, took_s: float, target_s: float, most: int) -> int:
    """Return how many rows the next batch may have, after one of ``rows`` rows took ``took_s`` seconds.

    The result is between LEAST_ROWS and ``most``, and at most twice ``rows``, since a fast batch may have been easy.
    """
    fitting = int(rows * target_s / took_s) if took_s > 0 else most
    return min(most, max(LEAST_ROWS, min(2 * rows, fitting)))
