"""Tuning of buy again on made histories, of which it is known what decides."""

import numpy as np
import pytest

from jobs.data.history import History
from jobs.tuning.buy_again import choose_formula, cut_windows
from shared.domain.replenishment import ReplenishmentFormula

START = np.datetime64("2026-01-01T08:00:00", "us")
HOUR = np.timedelta64(3_600_000_000, "us")


def history_of(events: list[tuple[int, int, float]], n_items: int) -> History:
    """Return purchases given as (user, item, day)."""
    users, items, days = (np.asarray(column) for column in zip(*events, strict=True))
    return History(
        np.arange(int(users.max()) + 1),
        np.arange(n_items),
        users.astype(np.int32),
        items.astype(np.int32),
        np.full(len(users), 5.0, np.float32),
        START + (days * 24).astype(np.int64) * HOUR,
    )


def grocer(n_users: int) -> History:
    """Return purchases at intervals that users keep: each has products that they buy every 14, 28 or 56 days."""
    chance = np.random.default_rng(1)
    events = []
    for user in range(n_users):
        for item in range(30):
            interval = 14.0 * 2 ** (item % 3)
            first = chance.random() * interval
            events += [(user, item, first + number * interval) for number in range(int((240 - first) / interval))]
    return history_of(events, 30)


def test_a_shop_of_regular_intervals_is_served_by_them() -> None:
    choice = choose_formula(grocer(140))
    assert choice.formula.timing >= 1.0
    assert choice.score is not None
    assert choice.default_score is not None
    assert choice.score > 1.2 * choice.default_score
    assert choose_formula(grocer(140)) == choice


def test_a_large_history_is_sampled_by_users(monkeypatch: pytest.MonkeyPatch) -> None:
    history = grocer(140)
    whole = choose_formula(history)
    monkeypatch.setattr("jobs.tuning.buy_again.TUNING_EVENTS", len(history) // 2)
    sampled = choose_formula(history)
    assert 0 < sampled.users < 0.8 * whole.users


def test_a_shop_where_too_few_buy_again_keeps_the_defaults() -> None:
    once = [(user, item, float(user % 200)) for user in range(100) for item in range(5)]
    choice = choose_formula(history_of(once, 5))
    assert choice.formula == ReplenishmentFormula()
    assert choice.metrics() == {"ndcg@20": None, "ndcg@20_of_defaults": None, "users": 0, "horizon_days": None}


def test_a_shop_of_views_alone_has_nothing_to_tune_on() -> None:
    history = grocer(2)
    viewed = History(
        history.user_ids, history.product_ids, history.users, history.items, history.weights / 5, history.times
    )
    assert choose_formula(viewed).formula == ReplenishmentFormula()


def test_windows_hold_out_what_was_bought_before_and_again() -> None:
    # within the last 10 days user 0 buys product 0 again and product 1 for the first time; user 1 buys only before
    events = [(0, 0, 50.0), (0, 0, 95.0), (0, 1, 96.0), (1, 0, 50.0), (1, 0, 60.0), (2, 2, 0.0), (2, 2, 100.0)]
    (window, *earlier) = cut_windows(history_of(events, 3), 10.0, windows_max=2)
    assert window.users.tolist() == [0, 2]
    assert window.relevant.toarray().tolist() == [[1, 0, 0], [0, 0, 1]]
    assert window.recommender.most_often(2).tolist() == [[0, -1], [2, -1]]
    assert earlier == []


@pytest.mark.parametrize(("n_users", "days"), [(140, 7.0), (100, 14.0)])
def test_users_are_held_out_for_a_week_and_for_two_where_they_are_few(n_users: int, days: float) -> None:
    # four windows
    assert choose_formula(grocer(n_users)).horizon_days == days


@pytest.mark.parametrize(("n_users", "is_tuned"), [(49, False), (50, True)])
def test_the_defaults_are_kept_below_50_users(n_users: int, is_tuned: bool) -> None:
    events = [(user, item, day) for user in range(n_users) for item, day in ((0, 0.0), (1, 9.0), (0, 100.0))]
    choice = choose_formula(history_of(events, 2))
    assert choice.users == n_users
    assert (choice.score is not None) == is_tuned


def test_a_window_ends_where_the_next_begins_and_a_purchase_at_the_cut_is_before_it() -> None:
    events = [
        (0, 0, 90.0),
        (0, 0, 95.0),
        (1, 1, 70.0),
        (1, 1, 90.0),
        (2, 2, 70.0),
        (2, 2, 90.0),
        (2, 2, 100.0),
        (3, 0, 0.0),
    ]
    last, before = cut_windows(history_of(events, 3), 10.0, windows_max=2)
    assert last.users.tolist() == [0, 2]
    assert before.users.tolist() == [1, 2]
    # nothing of the held-out days is known
    assert before.recommender.most_often(2).tolist() == [[1, -1], [2, -1]]


def test_a_window_is_served_at_its_cut() -> None:
    # product 0 rests a quarter of a day after its purchase
    events = [(0, 0, 20.0), (0, 0, 40.0), (0, 0, 89.75), (0, 1, 20.0), (0, 1, 95.0), (1, 2, 0.0), (1, 2, 100.0)]
    (window,) = cut_windows(history_of(events, 3), 10.0, windows_max=1)
    plain = ReplenishmentFormula(None, 0.0, 0.0, timing=0.0)
    assert window.recommender.recommend(plain, 2).tolist() == [[1, 0], [2, -1]]


def test_a_sample_of_users_keeps_what_each_of_them_bought_again() -> None:
    events = [(user, user, day) for user in range(40) for day in (10.0, 80.0, 95.0)]
    windows = cut_windows(history_of([*events, (0, 0, 0.0), (0, 0, 100.0)], 40), 10.0, windows_max=2, users_max=20)
    assert [len(window.users) for window in windows] == [10]
    assert windows[0].relevant.nonzero()[1].tolist() == windows[0].users.tolist()
    (other,) = cut_windows(
        history_of([*events, (0, 0, 0.0), (0, 0, 100.0)], 40), 10.0, windows_max=2, users_max=20, seed=1
    )
    assert other.users.tolist() != windows[0].users.tolist()


def test_half_of_the_history_lies_before_the_earliest_cut() -> None:
    events = [(0, 0, float(day)) for day in range(41)]
    assert len(cut_windows(history_of(events, 1), 10.0)) == 2
    assert len(cut_windows(history_of(events[1:], 1), 10.0)) == 1
