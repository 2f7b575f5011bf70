"""The popular products, ever and lately, without what a user has met."""

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.offline.baselines import count_users, recommend_popular
from jobs.offline.snapshot import Snapshot
from tests.unit.offline import data

# Item 0 was bought by three users 20 days ago, item 1 by two 6 days ago, item 2 by one yesterday; item 3 was only
# viewed, by everybody. User 0 has bought item 0, which user 3 has only viewed.
HISTORY = data.history(
    (0, 0, 5, 0),
    (1, 0, 5, 0),
    (2, 0, 3, 0),
    (1, 1, 5, 14),
    (2, 1, 5, 14),
    (2, 2, 5, 19),
    (3, 0, 1, 19),
    *((user, 3, 1, 1) for user in range(4)),
)


def popular(
    history: History = HISTORY,
    *,
    new_only: bool = False,
    half_life_days: float | None = None,
    active: tuple[bool, ...] = (True,) * 4,
) -> list[list[int]]:
    """Return the popular items of users 0, 1 and 3, as of day 20."""
    now, users = data.START + np.timedelta64(20, "D"), np.array([0, 1, 3])
    snapshot = Snapshot(history, now, users, np.array(active), Catalog.unknown(4))
    answers = recommend_popular(snapshot, new_only=new_only, half_life_days=half_life_days)
    assert answers.shape == (3, 20)
    return [[int(item) for item in row if item >= 0] for row in answers]


def test_products_rank_by_users_who_carted_or_bought_them_and_views_do_not_count() -> None:
    assert popular() == [[0, 1, 2]] * 3


def test_a_user_counts_once_however_often_they_buy() -> None:
    again = data.history(*[(0, 1, 5, day) for day in range(9)], (0, 0, 5, 0), (1, 0, 5, 0), users=4, items=4)
    assert popular(again)[0] == [0, 1]
    # lately as well: eight purchases within two half-lives are one user, of the newest
    assert popular(again, half_life_days=1e6)[0] == [0, 1]


def test_what_a_user_has_met_is_left_out_where_only_new_products_are_relevant() -> None:
    # a view is enough to have met a product
    assert popular(new_only=True) == [[1, 2], [2], [1, 2]]


def test_views_count_where_nothing_was_bought() -> None:
    views = data.history((0, 1, 1, 0), (1, 1, 1, 0), (1, 2, 1, 0), users=4, items=4)
    assert popular(views) == [[1, 2]] * 3


def test_hidden_products_are_not_shown() -> None:
    assert popular(active=(False, True, True, True)) == [[1, 2]] * 3


@pytest.mark.parametrize(
    ("half_life_days", "order"),
    [
        # 3 · 2^−20, 2 · 2^−6 and 2^−1
        (1.0, [2, 1, 0]),
        # 3 · 2^(−20/7) = 0.41, 2 · 2^(−6/7) = 1.10 and 2^(−1/7) = 0.91
        (7.0, [1, 2, 0]),
        # 3 · 2^(−20/400) = 2.90, 2 · 2^(−6/400) = 1.98 and 1.00
        (400.0, [0, 1, 2]),
    ],
)
def test_lately_each_user_counts_by_the_age_of_the_purchase(half_life_days: float, order: list[int]) -> None:
    assert popular(half_life_days=half_life_days) == [order] * 3


def test_users_are_counted_once_per_item() -> None:
    assert count_users(np.array([0, 0, 1, 2]), np.array([1, 1, 1, 0]), 3).tolist() == [1, 2, 0]


def test_lately_hours_count_too() -> None:
    # of day 20: bought 0.9 days ago, and just now; what lies in the future counts as now
    hours = data.history((0, 0, 5, 19.1), (1, 1, 5, 20), users=4, items=4)
    assert popular(hours, half_life_days=1.0)[0] == [1, 0]
    future = data.history((0, 0, 5, 20), (1, 1, 5, 25), users=4, items=4)
    assert popular(future, half_life_days=1.0)[0] == [0, 1]
