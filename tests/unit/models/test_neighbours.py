"""What a result says of itself."""

import numpy as np

from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours


def test_padding_is_no_neighbour_and_has_no_score() -> None:
    neighbours = Neighbours.none(3, 2)
    assert neighbours.counts.tolist() == [0, 0, 0]
    assert neighbours.mean_score == 0.0
    assert (neighbours.indices == NO_NEIGHBOUR).all()


def test_the_mean_score_is_that_of_the_neighbours_alone() -> None:
    indices = np.asarray([[1, 2], [0, NO_NEIGHBOUR], [NO_NEIGHBOUR] * 2], np.int32)
    scores = np.asarray([[1.0, 0.5], [0.75, 0.0], [0.0, 0.0]], np.float32)
    neighbours = Neighbours(indices, scores, np.ones((3, 2), np.int32))
    assert neighbours.mean_score == 0.75
    assert neighbours.counts.tolist() == [2, 1, 0]
