"""Neighbours as COPY text, and as they are read again."""

import numpy as np

from jobs.data.similarity_rows import format_rows, unpack_rows
from jobs.models.neighbours import Neighbours
from shared.storage.recommending.models import PackedNeighbours


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


def pack(*pairs: tuple[int, int, float]) -> PackedNeighbours:
    products, others, scores = zip(*pairs, strict=True)
    return PackedNeighbours(
        np.array(products, ">i8").tobytes(), np.array(others, ">i8").tobytes(), np.array(scores, ">f4").tobytes()
    )


def test_stored_neighbours_are_read_in_todays_codes_without_products_that_are_gone() -> None:
    rows = [
        pack((10, 2**40, 0.5), (10, 15, 0.4), (10, 20, 0.25), (15, 10, 1.0)),
        pack((20, 30, 0.75), (20, 10, 0.5), (20, 2**40, 0.25), (2**40, 10, 1.0)),
    ]
    neighbours = unpack_rows(np.array([10, 20, 30, 2**40], np.int64), rows, 2)
    # product 15 is gone; 20 has a third neighbour beyond k
    assert neighbours.indices.tolist() == [[3, 1], [2, 0], [-1, -1], [0, -1]]
    assert neighbours.scores.tolist() == [[0.5, 0.25], [0.75, 0.5], [0.0, 0.0], [1.0, 0.0]]
    assert not neighbours.co_occurrence.any()


def test_a_version_without_neighbours_reads_as_none() -> None:
    assert not unpack_rows(np.array([10], np.int64), [], 2).counts.any()
