"""User segments: the behaviour that the job reads, what it writes, and what staff read.

Only events that count are read (shared/domain/counting.py), so that crawlers do not form a segment. Erased users and
guests merged into an account are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple

import orjson

from shared.clients.postgres import Connection, copy_in, execute, read
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS
from shared.storage.people.erasure import ERASED_PREFIX

# A segment's value is its purchases in this many days.
VALUE_DAYS: Final = 90
# Days for which an ended segment is still listed.
ENDED_DAYS: Final = 90

# One row of packed big-endian columns, ordered by user; all aggregates of a group see its rows in the same order.
# All ages are whole days (UTC), so that two runs on the same day read the same values.
# A purchase is valued at the price in the order line, or else at the product's current price. Cancelled orders do not
# count.
BEHAVIOUR: Final = f"""
WITH today AS MATERIALIZED (
    SELECT start, start - cast(:days AS integer) * interval '24 hours' AS first,
           start - {VALUE_DAYS} * interval '24 hours' AS first_of_value
    FROM date_trunc('day', now(), 'UTC') AS start
), active AS MATERIALIZED (
    SELECT user_id, max(occurred_at) AS last_at FROM events
    WHERE counted AND occurred_at >= (SELECT first FROM today) AND occurred_at <= now() GROUP BY user_id
), bought AS MATERIALIZED (
    SELECT e.user_id, count(DISTINCT (e.occurred_at AT TIME ZONE 'UTC')::date) AS days,
           sum((e.quantity - e.returned) * coalesce(l.price, p.price)) AS spent,
           count(*) FILTER (WHERE e.occurred_at >= (SELECT first_of_value FROM today)) AS purchases,
           sum((e.quantity - e.returned) * coalesce(l.price, p.price))
               FILTER (WHERE e.occurred_at >= (SELECT first_of_value FROM today)) AS revenue
    FROM events e JOIN products p ON p.id = e.product_id
    LEFT JOIN (SELECT i.event_id, i.price, o.state FROM order_items i JOIN orders o ON o.id = i.order_id) AS l
        ON l.event_id = e.event_id
    WHERE e.event_type = 'purchase' AND e.counted AND l.state IS DISTINCT FROM 'cancelled'
      AND l.state IS DISTINCT FROM 'refunded'
      AND e.occurred_at >= (SELECT first FROM today) AND e.occurred_at <= now()
    GROUP BY e.user_id
)
SELECT coalesce(string_agg(int8send(id), ''), ''), coalesce(string_agg(float8send(recency_days), ''), ''),
       coalesce(string_agg(float8send(days), ''), ''), coalesce(string_agg(float8send(spent), ''), ''),
       coalesce(string_agg(int8send(purchases), ''), ''), coalesce(string_agg(float8send(revenue), ''), '')
FROM (SELECT u.id, greatest(0, ceil(extract(epoch FROM (SELECT start FROM today) - a.last_at) / 86400))::float8
                 AS recency_days,
             coalesce(b.days, 0)::float8 AS days, coalesce(b.spent, 0)::float8 AS spent,
             coalesce(b.purchases, 0) AS purchases, coalesce(b.revenue, 0)::float8 AS revenue
      FROM active a JOIN users u ON u.id = a.user_id LEFT JOIN bought b ON b.user_id = u.id
      WHERE u.merged_into IS NULL AND NOT starts_with(u.external_id, '{ERASED_PREFIX}') ORDER BY u.id) AS users_met
"""
# Shares of a user's taste need a common point in time for all categories, whichever it is; here, the last event.
TASTES: Final = """
WITH decayed AS MATERIALIZED (
    SELECT user_id, key::bigint AS category_id, score * power(2::float8, -least(extract(epoch FROM
               max(as_of) OVER (PARTITION BY user_id) - as_of)::float8 / :half_life_s, :max_halvings)) AS score
    FROM user_preferences WHERE kind = 'category' AND score > 0
), shares AS MATERIALIZED (
    SELECT user_id, category_id, (score / sum(score) OVER (
        PARTITION BY user_id ORDER BY category_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))::real
        AS share
    FROM decayed
), liked AS MATERIALIZED (
    SELECT c.id, c.leaf AS name, row_number() OVER (ORDER BY t.total DESC, c.id) - 1 AS place
    FROM (SELECT category_id, sum(share::numeric) AS total FROM shares GROUP BY 1) AS t
    JOIN categories c ON c.id = t.category_id ORDER BY t.total DESC, c.id LIMIT :categories
)
SELECT (SELECT coalesce(json_agg(json_build_array(id, name) ORDER BY place), '[]') FROM liked)::text,
       coalesce(string_agg(int8send(s.user_id), ''), ''), coalesce(string_agg(int8send(l.place), ''), ''),
       coalesce(string_agg(float4send(s.share), ''), '')
FROM shares s JOIN liked l ON l.id = s.category_id
"""
MEMBERS: Final = """
SELECT coalesce(string_agg(int8send(user_id), ''), ''), coalesce(string_agg(int8send(segment_id), ''), '')
FROM (SELECT user_id, segment_id FROM user_segments ORDER BY user_id) AS members"""
NEW_IDS: Final = "SELECT nextval(pg_get_serial_sequence('segments', 'id')) FROM generate_series(1, :number)"

STAGE: Final = (
    """CREATE TEMP TABLE IF NOT EXISTS new_members (user_id bigint PRIMARY KEY, segment_id bigint NOT NULL)
    ON COMMIT DROP""",
    "TRUNCATE new_members",
)
COPY: Final = "COPY new_members (user_id, segment_id) FROM STDIN"
# Locks users before the rows that belong to them, in id order, as erasing and merging do.
LOCK: Final = """
SELECT count(*) FROM (
    SELECT u.id FROM users u LEFT JOIN new_members n ON n.user_id = u.id LEFT JOIN user_segments s ON s.user_id = u.id
    WHERE n.segment_id IS DISTINCT FROM s.segment_id ORDER BY u.id FOR KEY SHARE OF u) AS locked"""
SAVE: Final = """
INSERT INTO segments (id, name, size, joined, departed, purchases, revenue, profile)
SELECT s.id, s.name, s.size, s.joined, s.departed, s.purchases, s.revenue, s.profile
FROM jsonb_to_recordset(cast(:segments AS jsonb)) AS s(
    id bigint, name text, size integer, joined integer, departed integer, purchases bigint, revenue numeric,
    profile jsonb)
ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, size = EXCLUDED.size, joined = EXCLUDED.joined,
    departed = EXCLUDED.departed, purchases = EXCLUDED.purchases, revenue = EXCLUDED.revenue,
    profile = EXCLUDED.profile, computed_at = now(), ended_at = NULL"""
REMOVE: Final = """
DELETE FROM user_segments s WHERE NOT EXISTS (SELECT FROM new_members n WHERE n.user_id = s.user_id)"""
# A user may have been erased or merged since the behaviour was read.
MOVE: Final = """
INSERT INTO user_segments (user_id, segment_id)
SELECT n.user_id, n.segment_id FROM new_members n JOIN users u ON u.id = n.user_id
WHERE u.merged_into IS NULL ORDER BY n.user_id
ON CONFLICT (user_id) DO UPDATE SET segment_id = EXCLUDED.segment_id, joined_at = now()
WHERE user_segments.segment_id <> EXCLUDED.segment_id"""
END: Final = """
UPDATE segments SET ended_at = now(), computed_at = now(), departed = size, size = 0, joined = 0, purchases = 0,
    revenue = 0
WHERE ended_at IS NULL AND id <> ALL (cast(:ids AS bigint[])) RETURNING id"""
FORGET: Final = f"""
DELETE FROM segments s WHERE s.ended_at < now() - interval '{ENDED_DAYS} days'
  AND NOT EXISTS (SELECT FROM rules r WHERE r.segment_id = s.id)"""
IS_NAMED: Final = "SELECT EXISTS (SELECT FROM rules WHERE segment_id IS NOT NULL)"

LIST: Final = """
SELECT id, name, size, joined, departed, purchases, revenue, profile, created_at, computed_at, ended_at
FROM segments ORDER BY ended_at IS NOT NULL, size DESC, id"""


class PackedBehaviour(NamedTuple):
    """What users did, as big-endian columns with one entry per user, by ascending id.

    user_ids, purchases : int64.  recency_days, purchase_days, spent, revenue : float64.
    """

    user_ids: bytes
    recency_days: bytes
    purchase_days: bytes
    spent: bytes
    purchases: bytes
    revenue: bytes


class PackedTastes(NamedTuple):
    """Shares of the leading categories in users' tastes: entries as big-endian columns, in no particular order.

    categories : (id, name) of each, greatest first.  user_ids, places : int64; a place is an index into ``categories``.
    shares : float32.
    """

    categories: list[tuple[int, str]]
    user_ids: bytes
    places: bytes
    shares: bytes


def read_behaviour(connection: Connection, days: int) -> PackedBehaviour:
    """Return what each user did in the last ``days``; users without an event are left out."""
    return PackedBehaviour(*map(bytes, execute(connection, BEHAVIOUR, {"days": days})[0]))


def read_tastes(connection: Connection, categories: int) -> PackedTastes:
    """Return the shares of the ``categories`` categories with the greatest shares overall."""
    names, *columns = execute(
        connection,
        TASTES,
        {"categories": categories, "half_life_s": HALF_LIFE.total_seconds(), "max_halvings": MAX_HALVINGS},
    )[0]
    return PackedTastes([(int(row[0]), row[1]) for row in orjson.loads(names)], *map(bytes, columns))


def read_members(connection: Connection) -> tuple[bytes, bytes]:
    """Return the ids of users with a segment, ascending, and their segments, both as big-endian int64."""
    users, segments = execute(connection, MEMBERS)[0]
    return bytes(users), bytes(segments)


def new_ids(connection: Connection, number: int) -> list[int]:
    """Return ids for new segments."""
    return [int(row[0]) for row in execute(connection, NEW_IDS, {"number": number})]


def replace(connection: Connection, segments: Sequence[Mapping[str, Any]], members: Iterable[bytes]) -> int:
    """Replace segments and members inside the caller's transaction; return how many segments ended.

    ``segments`` have the columns of SAVE; ``members`` are lines of COPY text, user and segment.
    """
    for statement in STAGE:
        execute(connection, statement)
    copy_in(connection, COPY, BytesIO(b"".join(members)))
    execute(connection, "ANALYZE new_members")
    execute(connection, LOCK)
    execute(connection, SAVE, {"segments": orjson.dumps([dict(segment) for segment in segments]).decode()})
    execute(connection, REMOVE)
    execute(connection, MOVE)
    ended = execute(connection, END, {"ids": [segment["id"] for segment in segments]})
    execute(connection, FORGET)
    return len(ended)


def are_named_by_rules(connection: Connection) -> bool:
    """Return whether any rule names a segment, so that its members' answers depend on it."""
    return bool(execute(connection, IS_NAMED)[0][0])


def list_segments() -> list[dict[str, Any]]:
    """Return all segments with the columns of LIST: current ones first, and larger ones before smaller ones."""
    return [dict(row._mapping) for row in read(LIST)]
