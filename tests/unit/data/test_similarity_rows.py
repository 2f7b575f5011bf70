"""Neighbours as COPY text."""

import numpy as np

from jobs.data.similarity_rows import format_rows
from jobs.models.neighbours import Neighbours


def test_each_product_with_neighbours_is_a_line_of_ids_scores_and_counts_best_first() -> None:
    neighbours = Neighbours(
        np.array([[2, 1], [-1, -1], [0, -1]], np.int32),
        np.array([[0.5, 0.1], [0, 0], [1, 0]], np.float32),
        np.array([[3, 2], [0, 0], [3, 0]], np.int32),
    )
    lines = list(format_rows(np.array([10, 20, 2**40], np.int64), neighbours))
    assert lines == [
        b"10\t{1099511627776,20}\t{0.5,0.1}\t{3,2}\n",
        b"1099511627776\t{10}\t{1.0}\t{3}\n",
    ]
