"""The formula of buy again over arrays, worked out by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.offline.buy_again import BuyAgainRecommender, Intervals, find_intervals
from jobs.offline.snapshot import Snapshot
from shared.domain.replenishment import TREND_FLOOR, ReplenishmentFormula

NOW = np.datetime64("2026-06-01T12:00:00", "us")
DAY = np.timedelta64(86_400_000_000, "us")
PURCHASE, VIEW = 5.0, 1.0
# the parameters of the formula that ignore everything but the number of purchases
PLAIN = ReplenishmentFormula(half_life_days=None, repeat_evidence=0.0, trend_power=0.0, timing=0.0)

# (user, item, weight, days ago)
Event = tuple[int, int, float, float]


def history_of(events: Sequence[Event], n_users: int, n_items: int) -> History:
    users, items, weights, days = (np.asarray(column) for column in zip(*events, strict=True))
    return History(
        np.arange(n_users),
        np.arange(n_items),
        users.astype(np.int32),
        items.astype(np.int32),
        weights.astype(np.float32),
        NOW - (days * DAY.astype(np.int64)).astype("timedelta64[us]"),
    )


def recommender(
    events: Sequence[Event], n_users: int = 2, n_items: int = 4, intervals: Intervals | None = None
) -> BuyAgainRecommender:
    history = history_of(events, n_users, n_items)
    active = np.ones(n_items, np.bool_)
    return BuyAgainRecommender(Snapshot(history, NOW, np.arange(n_users), active, Catalog.unknown(n_items)), intervals)


def repeated(user: int, item: int, days_ago: Sequence[float]) -> list[Event]:
    return [(user, item, PURCHASE, days) for days in days_ago]


def test_purchases_count_by_their_age_and_views_do_not() -> None:
    tested = recommender([*repeated(0, 1, (30.0, 90.0)), *repeated(0, 2, (60.0,)), (0, 3, VIEW, 1.0)])
    assert tested.scores(PLAIN).tolist() == [2.0, 1.0]
    assert tested.scores(PLAIN.with_(half_life_days=30.0)) == pytest.approx([2**-1 + 2**-3, 2**-2])


def test_the_repeat_share_of_the_product_adds_to_the_purchases() -> None:
    # two of three buyers of item 0 bought it again, none of the two of item 1; the shop's share is 2 / 5
    events = [*repeated(0, 0, (9.0, 19.0)), *repeated(1, 0, (9.0, 19.0)), *repeated(2, 0, (9.0,))]
    events += [*repeated(0, 1, (9.0,)), *repeated(1, 1, (9.0,))]
    tested = recommender(events, n_users=3)
    shares = [(2 + 5 * 0.4) / (3 + 5), (0 + 5 * 0.4) / (2 + 5)]
    expected = [2 + 3 * shares[0], 1 + 3 * shares[1]] * 2 + [1 + 3 * shares[0]]
    assert tested.scores(PLAIN.with_(repeat_evidence=3.0)) == pytest.approx(expected)


def test_the_trend_counts_as_a_share_of_the_greatest_among_the_users_products() -> None:
    # two other users buy item 1 today; item 2 was bought before the window
    events = [*repeated(0, 0, (20.0,)), *repeated(0, 1, (20.0,)), *repeated(0, 2, (40.0,))]
    events += [*repeated(1, 3, (0.0,)), *repeated(1, 1, (0.0, 0.0))]
    tested = recommender(events)
    old = math.exp(-0.1 * 20)
    scores = tested.scores(PLAIN.with_(trend_power=0.5))[:3]
    assert scores == pytest.approx(
        [math.sqrt(old / (2 + old) + TREND_FLOOR), math.sqrt(1 + TREND_FLOOR), math.sqrt(TREND_FLOOR)]
    )


def test_the_score_is_greatest_when_the_interval_has_passed() -> None:
    intervals = Intervals(np.full(4, 30.0), np.full(4, 0.5))
    events = [(0, item, PURCHASE, days) for item, days in enumerate((3.0, 30.0, 300.0, 60.0))]
    scores = recommender(events, intervals=intervals).scores(PLAIN.with_(timing=0.5))
    assert scores[1] == 1.0
    assert scores[0] == pytest.approx(scores[2]) == pytest.approx(math.exp(-0.25 * math.log(10) ** 2))
    assert scores[0] < scores[3] < scores[1]


def test_the_users_own_interval_decides_from_two_gaps_on() -> None:
    intervals = Intervals(np.full(4, 30.0), np.full(4, 0.5))
    # gaps of 10 and 20 days, and one gap only
    tested = recommender([*repeated(0, 0, (15.0, 25.0, 45.0)), *repeated(0, 1, (15.0, 25.0))], intervals=intervals)
    scores = tested.scores(PLAIN.with_(timing=1.0))
    assert scores == pytest.approx([3.0, 2 * math.exp(-0.5 * math.log(15 / 30) ** 2)])


def test_intervals_are_the_medians_of_five_gaps_and_the_shops_otherwise() -> None:
    five = [event for user in range(5) for event in repeated(user, 0, (8.0, 8.0 + 2 * user + 1))]
    four = [event for user in range(4) for event in repeated(user, 1, (8.0, 108.0))]
    history = history_of([*five, *four, *repeated(0, 2, (8.0, 500.0))], 6, 4)
    intervals = find_intervals(history, NOW)
    # gaps of 1, 3, 5, 7, 9 and four of 100 days: the purchase of 500 days ago is too old for a gap
    assert intervals.median_days.tolist() == [5.0, 9.0, 9.0, 9.0]
    share = 9 / 10
    assert intervals.repeat_shares == pytest.approx([(5 + 5 * share) / 10, (4 + 5 * share) / 9, 5 * share / 6, share])


def test_what_was_bought_this_morning_comes_after_all_others() -> None:
    tested = recommender([*repeated(0, 0, (0.49, 1.0, 2.0)), *repeated(0, 1, (0.51,)), *repeated(1, 0, (0.6,))])
    assert tested.recommend(PLAIN, 3).tolist() == [[1, 0, -1], [0, -1, -1]]
    assert tested.most_often(2).tolist() == [[0, 1], [0, -1]]
    assert tested.most_recent(2).tolist() == [[0, 1], [0, -1]]


def test_ties_go_to_the_first_product_and_inactive_ones_are_left_out() -> None:
    history = history_of([*repeated(0, 2, (9.0,)), *repeated(0, 1, (9.0,)), *repeated(0, 3, (9.0,))], 1, 4)
    active = np.asarray([True, True, True, False])
    tested = BuyAgainRecommender(Snapshot(history, NOW, np.arange(1), active, Catalog.unknown(4)))
    assert tested.recommend(PLAIN, 4).tolist() == [[1, 2, -1, -1]]


def test_half_a_day_after_its_purchase_a_product_rests_no_more() -> None:
    tested = recommender([*repeated(0, 0, (0.5, 1.0)), *repeated(0, 1, (0.49, 1.0, 2.0)), *repeated(0, 2, (3.0,))])
    assert tested.recommend(PLAIN, 3).tolist()[0] == [0, 2, 1]


def test_purchases_that_count_are_the_users_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.offline.buy_again.PURCHASES_MAX", 2)
    # the other user has two products of their own
    events = [*repeated(0, 0, (9.0, 8.0)), *repeated(0, 1, (1.0,)), *repeated(0, 2, (2.0,))]
    tested = recommender([*events, *repeated(1, 0, (99.0,)), *repeated(1, 3, (98.0,))])
    assert sorted(tested.recommend(PLAIN, 4)[0].tolist()) == [-1, -1, 1, 2]
    assert sorted(tested.recommend(PLAIN, 4)[1].tolist()) == [-1, -1, 0, 3]


def test_the_age_of_old_purchases_and_of_those_of_this_minute_is_bounded() -> None:
    tested = recommender([*repeated(0, 0, (5_000.0,)), *repeated(0, 1, (0.0,))])
    decayed = tested.scores(PLAIN.with_(half_life_days=0.5))
    assert decayed.tolist() == [2.0**-200, 1.0]
    # a hundredth of a day is the least time that is distinguished
    timed = tested.scores(PLAIN.with_(timing=0.01))
    assert timed[1] == pytest.approx(math.exp(-0.005 * math.log(0.01 / 30) ** 2))


def test_each_window_of_trends_counts_on_its_own() -> None:
    events = [*repeated(0, 0, (40.0,)), *repeated(0, 1, (40.0,))]
    events += [*repeated(1, 0, (6.9,)), *[event for _ in range(9) for event in repeated(1, 1, (7.1,))]]
    tested = recommender(events)
    in_a_week = tested.scores(PLAIN.with_(trend_power=1.0, trending_window="7d"))[:2]
    in_a_month = tested.scores(PLAIN.with_(trend_power=1.0, trending_window="30d"))[:2]
    assert in_a_week == pytest.approx([1 + TREND_FLOOR, TREND_FLOOR])
    assert in_a_month[1] == pytest.approx(1 + TREND_FLOOR)
    assert in_a_month[0] < 0.5


def test_among_equally_frequent_products_the_latest_comes_first() -> None:
    tested = recommender([*repeated(0, 0, (9.0,)), *repeated(0, 1, (3.0,)), *repeated(0, 2, (4.0, 5.0))])
    assert tested.most_often(3)[0].tolist() == [2, 1, 0]


def test_the_greatest_trend_is_that_of_the_users_own_products() -> None:
    # what the other user buys trends far more
    events = [*repeated(0, 0, (20.0,)), *repeated(0, 1, (25.0,)), *repeated(1, 2, (0.0,))]
    scores = recommender([*events, *repeated(1, 3, (0.0, 0.0, 0.0))]).scores(PLAIN.with_(trend_power=1.0))
    assert scores == pytest.approx(
        [1 + TREND_FLOOR, math.exp(-0.5) + TREND_FLOOR, 1 / 3 + TREND_FLOOR, 3 * (1 + TREND_FLOOR)]
    )


def test_purchases_beyond_the_latest_count_as_those_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.offline.buy_again.PURCHASES_MAX", 3)
    tested = recommender([*repeated(0, 0, (1.0, 2.0, 9.0)), *repeated(0, 1, (1.5,)), *repeated(0, 2, (40.0, 50.0))])
    # two of the latest three are of product 0, which was bought three times; product 2 counts by its last purchase
    expected = [3 * (2**-0.1 + 2**-0.2) / 2, 2**-0.15, 2 * 2**-4.0]
    assert tested.scores(PLAIN.with_(half_life_days=10.0)) == pytest.approx(expected)
