"""The synthetic shop has the distributions that its options name."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from local.data.shop import Shop
from local.data.synthetic import category_of, make
from local.errors import Refused

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_the_default_is_the_reference_shop() -> None:
    shop = make(now=NOW)
    events = shop.events
    assert (len(shop.products), len(shop.users), len(events.ids)) == (1000, 500, 50_000)
    assert shop.products["category"].value_counts().tolist() == [100] * 10
    assert shop.users["is_anonymous"].sum() == 350
    share = np.bincount(events.event_type, minlength=3) / 50_000
    assert shop.event_types == ("view", "add_to_cart", "purchase")
    assert np.allclose(share, [0.80, 0.15, 0.05], atol=0.006)
    assert events.occurred_at.max() < np.datetime64("2026-06-01T12:00:00")
    assert events.occurred_at.min() > np.datetime64("2026-03-03T12:00:00") - np.timedelta64(1, "s")
    assert len(set(events.ids.to_pylist())) == 50_000
    recent = np.mean(events.occurred_at > np.datetime64("2026-04-17T12:00:00"))
    # density falls linearly to nothing: three quarters of the events are in the later half
    assert abs(recent - 3 / 4) < 0.01


def test_nine_tenths_of_a_users_events_are_in_one_or_two_categories() -> None:
    shop = make({"users": 200, "events": 200_000})
    category = category_of(1000, 10)[shop.events.product]
    counts = np.zeros((200, 10))
    np.add.at(counts, (shop.events.user, category), 1)
    ordered = np.sort(counts, axis=1)[:, ::-1] / counts.sum(axis=1, keepdims=True)
    # elsewhere is uniform over all ten, so a tenth to a fifth of it falls inside
    assert abs(ordered[:, :2].sum(axis=1).mean() - 0.915) < 0.01
    single_category = ordered[:, 0] > 0.8
    assert 0.35 < single_category.mean() < 0.65
    assert np.all(ordered[~single_category, 1] > 0.3)


def test_the_same_options_make_the_same_shop_on_any_day() -> None:
    early, late = make({"events": 1000}, NOW), make({"events": 1000}, datetime(2026, 7, 1, tzinfo=UTC))
    assert early.events.ids.equals(late.events.ids)
    assert np.array_equal(early.events.product, late.events.product)
    assert early.products.drop(columns="created_at").equals(late.products.drop(columns="created_at"))


def test_another_seed_or_size_is_another_shop() -> None:
    ids = [
        set(make({"events": 1000, **options}).events.ids.to_pylist()) for options in ({}, {"seed": 1}, {"users": 501})
    ]
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]


def test_skew_makes_some_products_popular_and_every_product_has_events() -> None:
    flat, skewed = (
        np.bincount(make({"events": 200_000, "skew": skew}).events.product, minlength=1000) for skew in (0.0, 1.0)
    )
    assert flat.max() < 2 * flat.mean()
    assert skewed.max() > 10 * skewed.mean()
    assert skewed.min() > 0


@pytest.mark.parametrize("categories", [1, 3, 25])
def test_any_number_of_categories_will_do(categories: int) -> None:
    shop = make({"categories": categories, "products": 100, "users": 10, "events": 5000, "recency": 0})
    assert shop.products["category"].nunique() == categories
    assert set(np.unique(category_of(100, categories)[shop.events.product])) == set(range(categories))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"product": 5}, "product: is not an option"),
        ({"products": 0}, "products"),
        ({"products": 5}, "at least one for each category"),
        ({"view": 0.9, "add_to_cart": 0.2}, "at most 1"),
        ({"seed": -1}, "seed"),
        ({"recency": "much"}, "recency"),
    ],
)
def test_an_invalid_option_is_named(options: dict[str, object], says: str) -> None:
    with pytest.raises(Refused, match=says):
        make(options)


def test_events_follow_the_tastes_that_the_shop_reports() -> None:
    shop = make({"users": 40, "events": 40_000, "seed": 3})
    assert shop.tastes is not None
    np.testing.assert_allclose(shop.tastes.sum(axis=1), 1.0)
    categories = np.asarray(pd.factorize(shop.products["category"])[0])
    shares = np.zeros_like(shop.tastes)
    np.add.at(shares, (shop.events.user, categories[shop.events.product]), 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    # a thousand events a user: shares within a few standard errors of 0.016
    assert np.abs(shares - shop.tastes).max() < 0.08


VISITS = {"events": 40_000, "session_events": 4, "users": 2_000}


def visits(options: dict[str, float]) -> tuple[Shop, pd.DataFrame]:
    """Return a shop with visits, and its events by user and time with those before and the pauses, in seconds."""
    shop = make(VISITS | options, NOW)
    events = pd.DataFrame(
        {"user": shop.events.user, "product": shop.events.product, "time": shop.events.occurred_at}
    ).sort_values(["user", "time"], kind="stable")
    by_user = events.groupby("user")
    return shop, events.assign(before=by_user["product"].shift(), pause=by_user["time"].diff() / np.timedelta64(1, "s"))


def test_events_come_in_visits_of_one_user_a_minute_apart() -> None:
    shop, events = visits({})
    assert len(shop.events.ids) == 40_000
    assert np.all(np.diff(shop.events.occurred_at.astype(np.int64)) >= 0)
    assert shop.events.occurred_at.max() < np.datetime64("2026-06-01T12:00:00")
    within = events["pause"] < 80.001
    # the number of events of a visit is Poisson distributed: e^−4 of the visits have none
    n_visits = (~within).sum()
    assert n_visits == pytest.approx(10_000 * (1 - np.exp(-4)), rel=0.02)
    # two visits of one user hardly ever fall on the same minute
    assert (events["pause"][within] >= 40).mean() > 0.998
    later = np.mean(shop.events.occurred_at > np.datetime64("2026-04-17T12:00:00"))
    assert abs(later - 3 / 4) < 0.02


@pytest.mark.parametrize("follow", [0.0, 0.7, 1.0])
def test_a_visit_goes_on_to_planted_successors_as_often_as_the_option_says(follow: float) -> None:
    shop, events = visits({"follow": follow})
    assert shop.successors is not None
    assert shop.successors.shape == (1_000, 3)
    category = category_of(1_000, 10)
    assert (category[shop.successors] == category[:, None]).all()
    assert (shop.successors != np.arange(1_000)[:, None]).all()
    within = events[(events["pause"] >= 40) & (events["pause"] < 80.001)]
    following = shop.successors[within["before"].astype(int)] == within["product"].to_numpy()[:, None]
    # what does not go on falls on one of three in a hundred by chance, and a product's successors may coincide
    assert following.any(axis=1).mean() == pytest.approx(follow, abs=0.03)
    assert following[:, 0].mean() == pytest.approx(0.6 * follow, abs=0.03)


def test_a_shop_without_visits_has_no_successors() -> None:
    assert make({"events": 100, "follow": 0.5}).successors is None


def test_a_shop_with_a_product_in_a_category_of_its_own_follows_itself() -> None:
    shop = make({"categories": 3, "products": 3, "events": 200, "session_events": 5, "follow": 1.0})
    assert shop.successors is not None
    assert (shop.successors == np.arange(3)[:, None]).all()


@pytest.mark.parametrize("events", [0, 1])
def test_a_shop_with_visits_may_have_no_events(events: int) -> None:
    assert len(make({"events": events, "session_events": 3}).events.ids) == events
