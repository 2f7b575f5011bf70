"""The tables derived from events, computed slowly by the rules of shared/domain, one event after the other."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pytest

from shared.clients import postgres
from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.domain.preferences import Decayed, decay, merge


def _at_one_time(sums: dict[Any, Decayed]) -> dict[Any, float]:
    """Return decayed sums as of each user's last event, because equal sums may be stored as of different times."""
    last = dict(map(tuple, postgres.read("SELECT user_id, max(occurred_at) FROM events GROUP BY 1")))
    return {key: decayed.score * decay(last[key[0]] - decayed.as_of) for key, decayed in sums.items()}


def expected(users: Sequence[int] | None = None) -> dict[str, Any]:
    """Return every derived table as a dict, computed from the stored events and products of these users, or of all."""
    products = {row[0]: row for row in postgres.read("SELECT id, category_id, brand, tags, price FROM products")}
    tables: dict[str, Any] = {name: Counter() for name in ("hourly", "views", "bought", "purchases", "days")}
    likes: dict[Any, Decayed] = {}
    day_users, day_products = defaultdict(set), defaultdict(set)
    rows = postgres.read(
        """SELECT user_id, product_id, event_type, occurred_at FROM events
           WHERE :every OR user_id = ANY (cast(:users AS bigint[])) ORDER BY random()""",
        every=users is None,
        users=list(users or ()),
    )
    for user, product, event_type, occurred_at in rows:
        weight = EVENT_WEIGHTS[EventType(event_type)]
        day = (occurred_at.astimezone(UTC).date(), event_type)
        tables["days"][day] += 1
        day_users[day].add(user)
        day_products[day].update({product} - {None})
        if product is None:
            continue
        tables["hourly"][occurred_at.replace(minute=0, second=0, microsecond=0), product, event_type] += 1
        tables["views"][product] += event_type == "view"
        tables["bought"][product] += event_type == "purchase"
        tables["purchases"][user, product] += event_type == "purchase"
        if weight == 0:
            continue
        _id, category, brand, tags, price = products[product]
        facets = [("category", str(category))] if category is not None else []
        facets += [("brand", brand)] if brand is not None else []
        facets += [("tag", tag) for tag in tags]
        sums = {(user, *facet): weight for facet in facets}
        if price > 0:
            log = math.log(price)
            sums |= {(user, "weight"): weight, (user, "log_sum"): weight * log, (user, "square_sum"): weight * log**2}
        for key, value in sums.items():
            new = Decayed(value, occurred_at)
            likes[key] = merge(likes[key], new) if key in likes else new
    return {
        **{name: {key: count for key, count in counts.items() if count} for name, counts in tables.items()},
        "day_users": {day: len(users) for day, users in day_users.items()},
        "day_products": {day: len(product_ids) for day, product_ids in day_products.items()},
        "likes": _at_one_time(likes),
    }


def stored(users: Sequence[int] | None = None) -> dict[str, Any]:
    """Return the stored derived tables as dicts: the tables per user for these users, or all tables for all users."""
    parameters = {"every": users is None, "users": list(users or ())}
    of_users = "WHERE (:every OR user_id = ANY (cast(:users AS bigint[])))"
    likes = {
        (user, kind, key): Decayed(score, as_of)
        for user, kind, key, score, as_of in postgres.read(
            f"SELECT user_id, kind, key, score, as_of FROM user_preferences {of_users}", **parameters
        )
    }
    for user, *sums, as_of in postgres.read(
        f"SELECT user_id, weight, log_sum, square_sum, as_of FROM user_price_bands {of_users} AND weight > 0",
        **parameters,
    ):
        likes |= {(user, name): Decayed(sums[i], as_of) for i, name in enumerate(("weight", "log_sum", "square_sum"))}
    purchases = postgres.read(
        f"SELECT user_id, product_id, purchase_count FROM user_purchases {of_users}", **parameters
    )
    if users is not None:
        return {"likes": _at_one_time(likes), "purchases": {tuple(row[:2]): row[2] for row in purchases}}
    days = postgres.read("SELECT date, event_type, event_count, unique_users, unique_products FROM daily_event_stats")
    stats = postgres.read("SELECT product_id, views, purchase_count FROM product_stats")
    hourly = postgres.read("SELECT hour, product_id, event_type, event_count FROM event_counts_hourly")
    return {
        "hourly": {tuple(row[:3]): row[3] for row in hourly},
        "views": {row[0]: row[1] for row in stats if row[1]},
        "bought": {row[0]: row[2] for row in stats if row[2]},
        "purchases": {tuple(row[:2]): row[2] for row in purchases},
        "days": {tuple(row[:2]): row[2] for row in days},
        "day_users": {tuple(row[:2]): row[3] for row in days},
        "day_products": {tuple(row[:2]): row[4] for row in days},
        "likes": _at_one_time(likes),
    }


def assert_match_events(*, days: bool = True) -> None:
    """Assert that every derived table follows from the events; ``days`` includes the daily rollup."""
    from_events, from_tables = expected(), stored()
    assert from_events["hourly"], "nothing to compare"
    for name in ("hourly", "views", "bought", "purchases", *(("days", "day_users", "day_products") if days else ())):
        assert from_tables[name] == from_events[name], name
    assert from_tables["likes"] == pytest.approx(from_events["likes"], rel=1e-9, abs=0)


def assert_match_events_of(users: Sequence[int]) -> None:
    """Assert that the tables per user follow from the events of these users."""
    from_events, from_tables = expected(users), stored(users)
    assert from_events["likes"], "nothing to compare"
    assert from_tables["purchases"] == from_events["purchases"]
    assert from_tables["likes"] == pytest.approx(from_events["likes"], rel=1e-9, abs=0)


def row_counts() -> dict[str, int]:
    """Return the number of rows of every table that a load may write."""
    tables = [
        "categories",
        "products",
        "product_stats",
        "users",
        "events",
        "event_ids",
        "event_counts_hourly",
        "user_purchases",
        "counted_purchases",
        "user_preferences",
        "user_price_bands",
        "daily_event_stats",
        "outbox",
        "rejected_events",
    ]
    return {name: postgres.read(f"SELECT count(*) FROM {name}")[0][0] for name in tables}
