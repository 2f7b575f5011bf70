"""A snapshot of a shop, against figures worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.offline.snapshot import Snapshot
from shared.domain.formula import SEEN_EVENTS_MAX, ExclusionPolicy, Formula, TrendingWindow
from tests.unit.offline import data

# user 0 views and buys product 0, then carts product 1; user 1 only views product 2
HISTORY = data.history((0, 0, 1, 0), (0, 0, 5, 1), (0, 1, 3, 3), (1, 2, 1, 2), items=4)


def taken(history: History, catalog: Catalog | None = None, users: tuple[int, ...] = (0,)) -> Snapshot:
    """Return the snapshot at the newest event."""
    n_items = len(history.product_ids)
    active = np.ones(n_items, np.bool_)
    return Snapshot(history, history.times.max(), np.asarray(users), active, catalog or Catalog.unknown(n_items))


def test_a_profile_weighs_products_by_weight_count_rank_and_age() -> None:
    formula = Formula(rank_decay=0.5, half_life_days=2.0, frequency_power=1.0)
    # product 0: weight 5, two events, second in rank, two days before the newest event
    assert taken(HISTORY).profiles(formula).toarray().tolist() == [[5 * 2 * 0.5 * 0.5, 3.0, 0.0, 0.0]]
    assert taken(HISTORY).profiles(Formula(weight_power=0.0)).toarray().tolist() == [[1.0, 1.0, 0.0, 0.0]]


def test_only_the_latest_events_make_a_profile() -> None:
    assert taken(HISTORY).profiles(Formula(profile_events=1)).toarray().tolist() == [[0.0, 3.0, 0.0, 0.0]]
    # no profile is longer than 200 events, whatever the formula says
    long = data.history(*((0, item, 1.0, float(item)) for item in range(250)))
    weights = taken(long).profiles(Formula(profile_events=500)).toarray()[0]
    assert np.flatnonzero(weights).tolist() == list(range(50, 250))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("nothing", []),
        # user 0 has just put product 1 into the cart, and user 1 viewed product 2 a day ago
        ("bought", [[0, 0]]),
        ("seen", [[0, 0], [0, 1], [1, 2]]),
        ("unmet", []),
    ],
)
def test_the_policy_decides_which_known_products_are_excluded(
    policy: ExclusionPolicy, expected: list[list[int]]
) -> None:
    excluded = taken(HISTORY, users=(0, 1)).excluded(policy)
    assert np.argwhere(excluded.toarray()).tolist() == expected
    assert set(excluded.data.tolist()) <= {1.0}


def test_what_was_viewed_in_the_last_half_hour_is_excluded() -> None:
    minutes = 1 / 1440
    events = [(0, 0, 1.0, 0.0), (0, 1, 1.0, minutes), (0, 2, 1.0, 30 * minutes), (1, 3, 1.0, 0.0)]
    history = data.history(*events, (0, 4, 3.0, 30 * minutes))
    assert np.argwhere(taken(history, users=(0, 1)).excluded("bought").toarray()).tolist() == [[0, 1], [0, 2]]
    live = replace(taken(history, users=(0, 1)), is_live=True)
    # user 1 is there as well
    assert np.argwhere(live.excluded("bought").toarray()).tolist() == [[0, 1], [0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("nothing", []),
        # viewed in the last half hour, then bought; the longest ago first
        ("bought", [3, 0, 1]),
        ("seen", [2, 3, 0, 1]),
        # all that is known, the latest first
        ("unmet", [3, 1, 2, 0]),
    ],
)
def test_known_products_return_in_their_order(policy: ExclusionPolicy, expected: list[int]) -> None:
    history = data.history((0, 0, 5, 0), (0, 2, 1, 2), (0, 1, 5, 3), (0, 3, 1, 4), (1, 4, 5, 4), items=6)
    returning = taken(history, users=(0, 1)).returning(policy)
    assert returning.indices[: returning.indptr[1]].tolist() == expected
    assert returning.indices[returning.indptr[1] :].tolist() == ([] if policy == "nothing" else [4])


def test_purchases_are_excluded_for_ever_and_views_among_the_latest_events() -> None:
    old = [(0, 0, 5.0, 0.0), (0, 1, 1.0, 0.5)]
    latest = [(0, 2, 1.0, 1 + number / 10_000) for number in range(SEEN_EVENTS_MAX)]
    excluded = taken(data.history(*old, *latest)).excluded("seen").toarray()
    assert np.flatnonzero(excluded[0]).tolist() == [0, 2]


def test_engagement_is_views_and_purchases_of_any_age_with_their_weights() -> None:
    # a cart, 40 days and another user's event; a cart does not count
    history = data.history((0, 0, 1, 0), (0, 0, 5, 1), (0, 1, 3, 3), (1, 2, 1, 40), (1, 0, 1, 40), items=4)
    assert taken(history).trends["engagement"].tolist() == [7.0, 0.0, 1.0, 0.0]


def test_trends_are_decayed_weights_and_all_is_the_number_of_purchases() -> None:
    trends = taken(HISTORY).trends
    assert trends["7d"] == pytest.approx([math.exp(-0.9) + 5 * math.exp(-0.6), 3.0, math.exp(-0.3), 0.0])
    assert trends["30d"] == pytest.approx([math.exp(-0.3) + 5 * math.exp(-0.2), 3.0, math.exp(-0.1), 0.0])
    assert trends["all"].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_what_is_inactive_has_no_trend() -> None:
    snapshot = Snapshot(
        HISTORY, HISTORY.times.max(), np.asarray([0]), np.asarray([False, True, True, True]), Catalog.unknown(4)
    )
    assert [scores[0] for scores in snapshot.trends.values()] == [0.0, 0.0, 0.0, 0.0]


def test_tastes_are_decayed_sums_by_category_and_price() -> None:
    history = data.history((0, 0, 1, 0), (0, 1, 2, 14))
    catalog = Catalog(
        np.asarray([1, 0]), np.asarray([-1, 0]), sparse.csr_array(np.asarray([[1.0], [0.0]])), np.asarray([1.0, math.e])
    )
    tastes = taken(history, catalog).preferences
    # the first event lies one half-life back
    assert tastes.categories.tolist() == [[2.0, 0.5]]
    assert tastes.brands.tolist() == [[2.0]]
    assert tastes.tags.tolist() == [[0.5]]
    assert tastes.mean_log_price[0] == pytest.approx(2 / 2.5)
    assert tastes.deviation[0] == pytest.approx(math.sqrt(2 / 2.5 - (2 / 2.5) ** 2))


def test_the_taste_of_a_profile_has_the_weights_of_the_formula() -> None:
    # product 0 is met first, then product 1 twice; the other user met product 0 alone
    history = data.history((0, 0, 1, 0), (0, 1, 5, 13), (0, 1, 1, 14), (1, 0, 1, 0))
    catalog = Catalog(
        np.asarray([1, 0]), np.asarray([-1, 0]), sparse.csr_array(np.asarray([[1.0], [0.0]])), np.asarray([1.0, math.e])
    )
    snapshot = taken(history, catalog, (0, 1))
    # two events, a half-life of 7 days and a decay by rank: 2 for product 1, and 0.8 · 2^-2 for product 0
    formula = Formula(half_life_days=7.0, rank_decay=0.8, weight_power=0.0, frequency_power=1.0, taste="profile")
    tastes = snapshot.tastes_from(snapshot.profiles(formula))
    assert tastes.categories == pytest.approx(np.asarray([[2.0, 0.2], [0.0, 1.0]]))
    assert tastes.brands == pytest.approx(np.asarray([[2.0], [0.0]]))
    assert tastes.tags == pytest.approx(np.asarray([[0.2], [1.0]]))
    assert tastes.mean_log_price == pytest.approx([2 / 2.2, 0.0])
    assert tastes.has_prices.tolist() == [True, True]


@pytest.mark.parametrize(("window", "days", "decay"), [("7d", 7, 0.3), ("30d", 30, 0.1)])
def test_a_window_ends_with_its_last_hour(window: TrendingWindow, days: int, decay: float) -> None:
    # now is the start of an hour: the last hour of the window begins an hour after the window
    hour = 1 / 24
    history = data.history((0, 0, 1, 0), (0, 1, 1, hour), (0, 2, 1, hour + 0.9 * hour), (0, 3, 1, days))
    trend = taken(history).trends[window]
    last = math.exp(-decay * (days - hour))
    assert trend == pytest.approx([0.0, last, last, 1.0])


def test_the_deviation_of_prices_is_that_of_their_logarithms() -> None:
    # logarithms of 0, 1 and 3, each with weight 1; the price of the last product is unknown
    history = data.history((0, 0, 1, 0), (0, 1, 1, 0), (0, 2, 1, 0), (0, 3, 1, 0), (1, 3, 1, 0))
    nothing = Catalog.unknown(4)
    tastes = taken(history, replace(nothing, prices=np.asarray([1.0, math.e, math.e**3, 0.0])), (0, 1)).preferences
    assert tastes.has_prices.tolist() == [True, False]
    assert tastes.mean_log_price == pytest.approx([4 / 3, 0.0])
    assert tastes.deviation == pytest.approx([math.sqrt(10 / 3 - 16 / 9), 0.0])


def test_the_variants_of_an_excluded_product_are_excluded_too() -> None:
    # products 0 and 1 are variants, and 2 and 3 of another product; 4 has none
    groups = replace(Catalog.unknown(5), groups=np.asarray([0, 0, 1, 1, -1]))
    history = data.history((0, 0, 5, 0), (0, 4, 5, 0), (1, 3, 5, 0), (2, 2, 1, 0), (2, 4, 1, 40))
    excluded = taken(history, groups, users=(0, 1, 2)).excluded("bought")
    assert np.argwhere(excluded.toarray()).tolist() == [[0, 0], [0, 1], [0, 4], [1, 2], [1, 3], [2, 4]]
    assert set(excluded.data.tolist()) == {1.0}


def test_each_user_has_their_own_latest_events() -> None:
    # both have one event more than count; the oldest is of product 0
    events = [(user, 0, 1.0, 0.0) for user in (0, 1)]
    events += [(user, 1, 1.0, 1 + number / 10_000) for user in (0, 1) for number in range(SEEN_EVENTS_MAX)]
    excluded = taken(data.history(*events, items=3), users=(0, 1)).excluded("seen").toarray()
    assert excluded.tolist() == [[0, 1, 0], [0, 1, 0]]
    # one event fewer, and it counts
    excluded = taken(data.history(*events[:-1], items=3), users=(0, 1)).excluded("seen").toarray()
    assert excluded.tolist() == [[0, 1, 0], [1, 1, 0]]
