"""Drift is reported where it was planted, and nowhere else."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.history import History
from jobs.offline.split import join_histories, select_events
from jobs.tuning.drift import (
    CHANGE_MIN,
    EVENTS_MIN,
    OVERLAP_MIN,
    UNKNOWN_MIN,
    Changes,
    Drift,
    Fall,
    Period,
    Profile,
    compare,
    measure_drift,
    profile_of,
)
from tests.unit.offline import data

WEEK = np.timedelta64(7, "D")


def before_and_after(change: Any = None, *, days: float = 91) -> tuple[Profile, Profile, History]:
    """Return the profiles of a shop a week ago and now, and its history now; ``change`` edits the last week."""
    history = data.shop(days=days, events=6_000)
    cut = history.times.max() - WEEK
    old, new = select_events(history, history.times <= cut), select_events(history, history.times > cut)
    if change is not None:
        new = change(new)
    history = join_histories(old, new)
    return profile_of(old), profile_of(history), history


def measured(change: Any = None) -> Drift:
    then, now, history = before_and_after(change)
    restored = Profile.from_json(json.loads(json.dumps(then.as_json())))
    assert restored == then
    return measure_drift(3, restored, now, history)


def test_a_shop_that_goes_on_as_it_was_has_not_drifted() -> None:
    drift = measured()
    assert drift.reasons() == []
    assert drift.as_json()["drifted"] is False
    assert (drift.version, drift.unknown_share) == (3, 0.0)
    assert (drift.new_events or 0) > EVENTS_MIN
    assert drift.changes is not None
    assert drift.ordinary is not None
    assert drift.changes.event_types < 0.1
    assert drift.changes.popular_overlap >= 0.5


def new_products(week: History) -> History:
    """Return the week with every second event on a product that is new."""
    ids = np.append(week.product_ids, week.product_ids + 1_000)
    is_new = np.arange(len(week)) % 2 == 0
    return replace(week, product_ids=ids, items=np.where(is_new, week.items + len(week.product_ids), week.items))


def only_purchases(week: History) -> History:
    return replace(week, weights=np.full(len(week), 5.0, np.float32))


def visitors(week: History) -> History:
    """Return the week with a new user for every event."""
    return replace(week, user_ids=10_000 + np.arange(len(week)), users=np.arange(len(week), dtype=np.int32))


def other_season(week: History) -> History:
    """Return the week with the products that sell best swapped for those that sell least."""
    return replace(week, items=(len(week.product_ids) - 1 - week.items).astype(np.int32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (new_products, "of new events are on products that it does not know"),
        (only_purchases, "mixture of event types changed by"),
        (visitors, "mixture of history lengths changed by"),
        (other_season, "of the most popular products are the same"),
    ],
)
def test_each_kind_of_drift_is_seen_and_named(change: Any, words: str) -> None:
    drift = measured(change)
    assert any(words in reason for reason in drift.reasons())
    assert drift.as_json()["drifted"] is True
    assert drift.as_json()["reasons"] == drift.reasons()
    # a season changes what sells, and neither who comes nor what they do
    if change is other_season:
        assert len(drift.reasons()) == 1


def test_figures_of_a_history_by_hand() -> None:
    # two users: one with two views long ago, who buys product 2; one new, who views product 1 twice
    history = data.history((0, 0, 1, 0), (0, 1, 1, 1), (0, 2, 5, 20), (1, 1, 1, 21), (1, 1, 1, 21.5), items=4)
    profile = profile_of(history)
    assert profile.until == data.START + np.timedelta64(516, "h")
    assert profile.period == Period(3, {"view": 0.66667, "purchase": 0.33333}, [2], [0.0, 0.5, 0.5, 0.0, 0.0, 0.0])
    assert profile.ordinary is None
    # an event exactly a week before the newest is outside, and so is one exactly at the version's newest event
    edge = data.history((0, 0, 1, 0), (0, 1, 1, 7), (1, 1, 2, 8), (1, 0, 3, 15))
    assert profile_of(edge).period == Period(1, {"add_to_cart": 1.0}, [0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    then = Profile(data.START + np.timedelta64(7, "D"), profile.period, None)
    drift = measure_drift(1, then, profile_of(edge), edge)
    assert (drift.new_events, drift.unknown_share, drift.changes) == (2, 0.0, None)
    then = Profile(data.START, profile.period, None)
    assert measure_drift(1, then, profile_of(edge), edge).unknown_share == pytest.approx(2 / 3, abs=1e-5)


def test_differences_of_shares_are_at_most_one() -> None:
    first = Period(10, {"view": 1.0}, [1, 2], [1.0, 0, 0, 0, 0, 0])
    second = Period(10, {"purchase": 1.0}, [2, 3, 4], [0, 0, 0, 0, 0, 1.0])
    assert compare(first, second) == Changes(1.0, 1.0, 0.5)
    assert compare(first, first) == Changes(0.0, 0.0, 1.0)
    # no products: nothing overlaps
    assert compare(Period(0, {}, [], [0.0] * 6), first).popular_overlap == 0.0


@pytest.mark.parametrize(
    ("fall", "is_drift"),
    [
        (Fall(0.2, 0.001, 0.179, 0.001), True),
        # a tenth, to the digit
        (Fall(0.2, 0.001, 0.181, 0.001), False),
        # a fall that noise explains: 3 joint standard errors are 0.0424
        (Fall(0.2, 0.01, 0.156, 0.01), True),
        (Fall(0.2, 0.01, 0.159, 0.01), False),
        (Fall(0.2, 0.001, 0.4, 0.001), False),
        (Fall(0.0, 0.0, 0.0, 0.0), False),
    ],
)
def test_quality_has_drifted_where_it_fell_by_a_tenth_and_more_than_noise(fall: Fall, is_drift: bool) -> None:
    assert fall.is_drift() == is_drift
    drift = Drift(2, fall=fall)
    assert bool(drift.reasons()) == is_drift
    assert drift.as_json()["ndcg@20"] == {
        "then": fall.then,
        "then_standard_error": fall.then_error,
        "now": fall.now,
        "now_standard_error": fall.now_error,
    }


def drifted(
    *,
    new_events: int = EVENTS_MIN,
    unknown: float = 0.0,
    types: float = 0.0,
    lengths: float = 0.0,
    overlap: float = 1.0,
    ordinary: Changes | None = None,
) -> bool:
    return bool(Drift(1, new_events, unknown, Changes(types, lengths, overlap), ordinary).reasons())


def test_thresholds_beside_their_limits() -> None:
    assert drifted(unknown=UNKNOWN_MIN)
    assert not drifted(unknown=UNKNOWN_MIN - 0.001)
    assert not drifted(unknown=UNKNOWN_MIN, new_events=EVENTS_MIN - 1)
    assert drifted(types=CHANGE_MIN)
    assert not drifted(types=CHANGE_MIN - 0.001)
    assert drifted(lengths=CHANGE_MIN)
    assert not drifted(lengths=CHANGE_MIN - 0.001)
    assert drifted(overlap=OVERLAP_MIN - 0.001)
    assert not drifted(overlap=OVERLAP_MIN)


def test_a_shop_that_changes_every_week_drifts_only_if_it_changes_twice_as_much() -> None:
    lively = Changes(0.15, 0.2, 0.4)
    assert not drifted(types=0.299, ordinary=lively)
    assert drifted(types=0.3, ordinary=lively)
    assert not drifted(lengths=0.399, ordinary=lively)
    assert drifted(lengths=0.4, ordinary=lively)
    assert not drifted(overlap=0.2, ordinary=lively)
    assert drifted(overlap=0.199, ordinary=lively)


def test_too_few_events_say_nothing() -> None:
    then, now, history = before_and_after(other_season)
    few = Profile(then.until, replace(then.period, events=EVENTS_MIN - 1), None)
    assert measure_drift(1, few, now, history).changes is None
    enough = Profile(then.until, replace(then.period, events=EVENTS_MIN), None)
    assert measure_drift(1, enough, now, history).changes is not None
    quiet = profile_of(data.history((0, 0, 1, 0), (0, 1, 1, 1)))
    assert quiet.ordinary is None
    assert measure_drift(1, then, quiet, data.history((0, 0, 1, 0), (0, 1, 1, 1))).reasons() == []


def test_the_same_history_again_has_no_new_events() -> None:
    history = data.shop()
    profile = profile_of(history)
    drift = measure_drift(1, profile, profile, history)
    assert (drift.new_events, drift.unknown_share) == (0, None)
    assert drift.changes == Changes(0.0, 0.0, 1.0)
    assert drift.reasons() == []


STORED = profile_of(data.shop()).as_json()


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "x",
        [],
        {},
        {"until": "2026-01-01"},
        {**STORED, "days": 14},
        {**STORED, "lengths": [1.0]},
        {**STORED, "lengths": None},
        {**STORED, "lengths": [2.0, 0, 0, 0, 0, 0]},
        {**STORED, "event_types": {"view": "much"}},
        {**STORED, "event_types": ["view"]},
        {**STORED, "popular": [None]},
        {**STORED, "until": "yesterday"},
        {**STORED, "until": None},
        {**STORED, "until": "NaT"},
        {**STORED, "events": None},
        {**STORED, "ordinary": {"event_types": 0.1}},
    ],
)
def test_a_profile_that_cannot_be_read_is_none_and_drift_says_what_is_not_known(stored: Any) -> None:
    assert Profile.from_json(stored) is None
    history = data.shop()
    assert measure_drift(4, None, profile_of(history), history).as_json() == {
        "since_version": 4,
        "drifted": False,
        "reasons": [],
        "ndcg@20": None,
        "new_events": None,
        "unknown_products_share": None,
        "event_types_change": None,
        "history_lengths_change": None,
        "popular_overlap": None,
    }


def test_a_profile_without_ordinary_changes_is_read() -> None:
    profile = Profile.from_json({**STORED, "ordinary": None})
    assert profile is not None
    assert profile.ordinary is None


@pytest.mark.parametrize(
    ("events", "group"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (19, 3), (20, 4), (99, 4), (100, 5), (101, 5)]
)
def test_groups_of_lengths_begin_at_their_first_number_of_events(events: int, group: int) -> None:
    lengths = profile_of(data.history(*((0, 0, 1, day / 1000) for day in range(events)))).period.lengths
    assert lengths == [1.0 if place == group else 0.0 for place in range(6)]


@pytest.mark.parametrize(
    ("before", "newest", "change"),
    [
        (EVENTS_MIN, EVENTS_MIN, 1.0),
        (EVENTS_MIN - 1, EVENTS_MIN, None),
        (EVENTS_MIN, EVENTS_MIN - 1, None),
    ],
)
def test_the_ordinary_change_is_that_from_the_week_before_to_the_newest(
    before: int, newest: int, change: float | None
) -> None:
    # older events, which are of neither week, views, and then purchases alone
    events = [(0, 0, 3.0, 0.0)] * 500 + [(0, 0, 1.0, 10.0)] * before + [(0, 0, 5.0, 17.0)] * newest
    ordinary = profile_of(data.history(*events)).ordinary
    assert (None if ordinary is None else ordinary.event_types) == change


def test_a_product_that_many_users_buy_is_more_popular_than_one_that_a_user_buys_often() -> None:
    often = [(0, 0, 5.0, 1.0 + number / 100) for number in range(5)]
    profile = profile_of(data.history(*often, (1, 1, 5.0, 1.0), (2, 1, 5.0, 2.0), (3, 2, 1.0, 2.0)))
    assert profile.period.popular == [1, 0]
