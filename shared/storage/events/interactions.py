"""A shop's events and products as training data, in packed columns; reading by row takes seconds per million."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.clients import postgres
from shared.domain.events import EVENT_WEIGHTS

# One row per hour, with the hour's events as packed big-endian columns: 400,000 events take a fifth of a second. A row
# has at most a gigabyte, which is 19 million events. All aggregates of a group see its rows in the same order. Event
# types without a weight and inactive products are left out, since neither can lead to a recommendation; so are events
# that do not count (shared/domain/counting.py).
PACKED: Final = """
SELECT string_agg(int8send(e.user_id), ''::bytea), string_agg(int8send(e.product_id), ''::bytea),
       string_agg(float4send(w.weight), ''::bytea), string_agg(timestamptz_send(e.occurred_at), ''::bytea)
FROM events e
JOIN unnest(cast(:types AS text[]), cast(:weights AS real[])) AS w(event_type, weight) ON w.event_type = e.event_type
JOIN products p ON p.id = e.product_id AND p.is_active
WHERE w.weight > 0 AND e.counted
  AND (cast(:since AS timestamptz) IS NULL OR e.occurred_at >= cast(:since AS timestamptz))
  AND (cast(:until AS timestamptz) IS NULL OR e.occurred_at < cast(:until AS timestamptz))
  AND (cast(:one_in AS integer) = 1 OR mod(hashint8(e.user_id), cast(:one_in AS integer)) = 0)
GROUP BY date_trunc('hour', e.occurred_at, 'UTC') ORDER BY date_trunc('hour', e.occurred_at, 'UTC')
"""

# Stops counting at the limit, so it is cheap even in large shops.
AT_LEAST: Final = "SELECT count(*) >= :number FROM (SELECT FROM events LIMIT :number) AS first"

# Numbers of events and of distinct user-product pairs, for one user in :one_in.
SIZE: Final = """
SELECT count(*), count(DISTINCT (e.user_id, e.product_id)) FROM events e
WHERE e.counted AND (cast(:since AS timestamptz) IS NULL OR e.occurred_at >= cast(:since AS timestamptz))
  AND (cast(:one_in AS integer) = 1 OR mod(hashint8(e.user_id), cast(:one_in AS integer)) = 0)
"""
# The first counted day, the first from which on there are at most :most events, and the last; days are the shop's.
START_WITHIN: Final = """
WITH days AS (
    SELECT date, sum(event_count) AS events FROM daily_event_stats
    WHERE date >= shop_day(cast(:since AS timestamptz)) AND date < shop_day(now()) GROUP BY date
), so_far AS (
    SELECT date, sum(events) OVER (ORDER BY date DESC) AS events FROM days
)
SELECT min(date), shop_midnight(coalesce(min(date) FILTER (WHERE events <= :most), max(date))),
       min(date) FILTER (WHERE events <= :most) FROM so_far
"""
FIRST: Final = "SELECT min(occurred_at) FROM events WHERE counted"
# One user in this many is enough to estimate the size of a history.
SIZE_ONE_IN: Final = 64

COUNT_PRODUCTS: Final = "SELECT count(*) FROM products WHERE is_active"
# A sample with fewer events than this says little: all users are counted.
SAMPLE_EVENTS_MIN: Final = 1_000

# Product attributes, in the order of the given ids.
PRODUCTS: Final = """
SELECT coalesce(p.category_id, -1), p.brand, p.tags, coalesce(p.price, 0)::float8, p.item_group_id
FROM unnest(cast(:ids AS bigint[])) WITH ORDINALITY AS wanted(id, place) LEFT JOIN products p USING (id) ORDER BY place
"""


class PackedEvents(NamedTuple):
    """The events of one hour as big-endian columns.

    user_ids, product_ids : int64.  weights : float32.  times : int64, microseconds since 2000-01-01 UTC.
    """

    user_ids: bytes
    product_ids: bytes
    weights: bytes
    times: bytes


class HistorySize(NamedTuple):
    """The numbers of events and of distinct user-product pairs in a history."""

    events: int
    pairs: int


def estimate_size(since: datetime | None, one_in: int = SIZE_ONE_IN) -> HistorySize:
    """Estimate the size of the history since ``since`` from one user in ``one_in``; events of types without a weight
    are included. Where the sample has few events, all users are counted."""
    with postgres.transaction(statement_timeout_s=0) as connection:
        events, pairs = postgres.execute(connection, SIZE, {"since": since, "one_in": one_in})[0]
        if events < SAMPLE_EVENTS_MIN and one_in > 1:
            return HistorySize(*postgres.execute(connection, SIZE, {"since": since, "one_in": 1})[0])
    return HistorySize(events * one_in, pairs * one_in)


def count_products() -> int:
    """Return the number of active products."""
    with postgres.transaction(statement_timeout_s=0) as connection:
        return int(postgres.execute(connection, COUNT_PRODUCTS)[0][0])


def start_within(since: datetime, most: int) -> datetime:
    """Return ``since``, or the start of the first day from which on there are at most ``most`` events.

    Only days before today that ``daily_stats`` has counted are known; others count as empty. If the last of them alone
    has more events, it is taken.
    """
    with postgres.transaction() as connection:
        first, start, within = postgres.execute(connection, START_WITHIN, {"since": since, "most": most})[0]
    return since if first is None or within == first else start


def first_event() -> datetime | None:
    """Return the time of the first event that counts."""
    with postgres.transaction(statement_timeout_s=0) as connection:
        first: datetime | None = postgres.execute(connection, FIRST)[0][0]
    return first


def read_packed(since: datetime | None, until: datetime | None = None, one_in: int = 1) -> list[PackedEvents]:
    """Return the weighted events of active products since ``since`` (None for all): one entry per hour, oldest first.

    until : end time, exclusive.  one_in : read one user in this many, the same users each time.
    """
    parameters: dict[str, Any] = {
        "types": [event_type.value for event_type in EVENT_WEIGHTS],
        "weights": list(EVENT_WEIGHTS.values()),
        "since": since,
        "until": until,
        "one_in": one_in,
    }
    with postgres.transaction(statement_timeout_s=0) as connection:
        return [PackedEvents(*row) for row in postgres.execute(connection, PACKED, parameters)]


def read_products(ids: list[int]) -> list[tuple[int, str | None, list[str] | None, float, str | None]]:
    """Return ``(category id or -1, brand, tags, price or 0, variant group)`` per product, in the order of ``ids``."""
    with postgres.transaction(statement_timeout_s=0) as connection:
        return [
            (row[0], row[1], row[2], row[3], row[4]) for row in postgres.execute(connection, PRODUCTS, {"ids": ids})
        ]


def has_at_least(number: int) -> bool:
    """Return whether the shop has at least ``number`` events."""
    with postgres.transaction(statement_timeout_s=0) as connection:
        return bool(postgres.execute(connection, AT_LEAST, {"number": number})[0][0])
