"""The synthetic shop has the distributions that its options name."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

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
