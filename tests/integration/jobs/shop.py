"""A small shop written straight into the tables, as if its events had come in."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import orjson

from shared.clients import postgres


class Did(NamedTuple):
    """One event; ``hours_ago`` may be a fraction."""

    user: str
    product: int | None
    event_type: str = "view"
    hours_ago: float = 1.0


def products(number: int, *, inactive: Iterable[int] = ()) -> list[int]:
    """Add products and return their ids, ascending; those at the positions ``inactive`` are not for sale."""
    rows = postgres.write(
        """INSERT INTO products (name, price, quantity, is_active)
           SELECT 'product ' || n, n + 0.5, 10, n <> ALL(cast(:inactive AS integer[]))
           FROM generate_series(0, :number - 1) AS n ORDER BY n RETURNING id""",
        number=number,
        inactive=list(inactive),
    )
    return sorted(int(row[0]) for row in rows)


def events(done: Iterable[Did]) -> None:
    """Add events with their users and their hourly counts."""
    now = datetime.now(UTC)
    rows = [
        {
            "event_id": str(uuid4()),
            "user": one.user,
            "product_id": one.product,
            "event_type": one.event_type,
            "occurred_at": (now - timedelta(hours=one.hours_ago)).isoformat(),
        }
        for one in done
    ]
    listed = orjson.dumps(rows).decode()
    with postgres.transaction() as connection:
        postgres.execute(
            connection,
            """INSERT INTO users (external_id)
               SELECT DISTINCT e->>'user' FROM jsonb_array_elements(cast(:rows AS jsonb)) AS e
               ON CONFLICT DO NOTHING""",
            {"rows": listed},
        )
        postgres.execute(
            connection,
            """WITH added AS (
                   INSERT INTO events (event_id, user_id, product_id, event_type, occurred_at)
                   SELECT e.event_id, u.id, e.product_id, e.event_type, e.occurred_at
                   FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS e(
                       event_id uuid, "user" text, product_id bigint, event_type text, occurred_at timestamptz)
                   JOIN users u ON u.external_id = e."user" RETURNING *)
               INSERT INTO event_counts_hourly
               SELECT date_trunc('hour', occurred_at, 'UTC'), product_id, event_type, count(*)
               FROM added WHERE product_id IS NOT NULL GROUP BY 1, 2, 3
               ON CONFLICT (hour, product_id, event_type)
                   DO UPDATE SET event_count = event_counts_hourly.event_count + EXCLUDED.event_count""",
            {"rows": listed},
        )


def crowd(ids: list[int], users: int) -> list[Did]:
    """Return views of ``users`` users of a checkerboard: even ones see the products at even positions, odd ones odd."""
    return [Did(f"u{u}", ids[p]) for u in range(users) for p in range(len(ids)) if (u + p) % 2 == 0]
