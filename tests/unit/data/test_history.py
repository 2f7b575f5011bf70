"""Events as arrays."""

import numpy as np

from jobs.data.history import history_of


def test_codes_stand_for_ascending_ids_and_weights_of_one_pair_add_up() -> None:
    times = np.array(["2026-01-01"] * 4, "datetime64[us]")
    history = history_of(
        np.array([900, 7, 900, 900]), np.array([5, 5, 3, 5]), np.array([1, 3, 5, 1], np.float32), times
    )
    assert history.user_ids.tolist() == [7, 900]
    assert history.product_ids.tolist() == [3, 5]
    assert history.users.tolist() == [1, 0, 1, 1]
    assert history.user_items().toarray().tolist() == [[0, 3], [5, 2]]
    assert len(history) == 4


def test_no_events_make_an_empty_matrix() -> None:
    empty = np.array([], np.int64)
    history = history_of(empty, empty, empty.astype(np.float32), empty.astype("datetime64[us]"))
    assert len(history) == 0
    assert history.user_items().shape == (0, 0)
