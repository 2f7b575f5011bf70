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
