"""Storing a shop in one transaction: COPY its rows into staging tables, and insert the rest from them."""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv
from sqlalchemy import Connection

from jobs.data.copy_rows import streams
from local.data.shop import Events, Shop
from shared.clients.postgres import copy_in, execute, transaction
from shared.storage.events import bulk_loading
from shared.storage.operations import daily_stats
from shared.storage.schema import advisory_locks

Report = Callable[[str], None]
EVENTS_PER_CHUNK: Final = 1_000_000

STAGE: Final = (
    """CREATE TEMP TABLE shop_products (
    external_id text, name text, description text, price numeric, category text, brand text, tags text,
    quantity integer, is_active boolean, created_at timestamptz) ON COMMIT DROP""",
    """CREATE TEMP TABLE shop_users (
    external_id text, is_anonymous boolean, first_at timestamptz, last_at timestamptz) ON COMMIT DROP""",
)
# settings that somebody has changed stay
SETTINGS: Final = """
UPDATE shop SET name = :name, currency = :currency, time_zone = :time_zone, search_language = :search_language
WHERE NOT EXISTS (SELECT FROM audit_log WHERE subject = 'shop') AND NOT EXISTS (SELECT FROM products)"""
CATEGORIES: Final = """
INSERT INTO categories (name) SELECT DISTINCT category FROM shop_products ORDER BY category ON CONFLICT DO NOTHING"""
# an existing product keeps its columns: they may have changed since the first load
PRODUCTS: Final = """
INSERT INTO products (
    external_id, name, description, price, category_id, brand, tags, quantity, is_active, created_at, updated_at)
SELECT s.external_id, s.name, s.description, s.price, c.id, s.brand, string_to_array(s.tags, '|'), s.quantity,
    s.is_active, s.created_at, s.created_at
FROM shop_products s JOIN categories c ON c.name = s.category
WHERE NOT EXISTS (SELECT FROM products p WHERE p.external_id = s.external_id) ORDER BY s.external_id
ON CONFLICT (external_id) DO NOTHING"""
STATS: Final = """
INSERT INTO product_stats (product_id) SELECT p.id FROM products p JOIN shop_products USING (external_id) ORDER BY 1
ON CONFLICT DO NOTHING"""
USERS: Final = """
INSERT INTO users (external_id, is_anonymous, created_at, last_seen_at)
SELECT external_id, is_anonymous, coalesce(first_at, now()), coalesce(last_at, now())
FROM shop_users ORDER BY first_at, external_id
ON CONFLICT (external_id) DO NOTHING"""
# pg_class has no estimates for tables that were just filled
ANALYZE: Final = "ANALYZE products, search_entries, users"


def _copy(connection: Connection, table: str, frame: pd.DataFrame) -> None:
    stream = io.BytesIO()
    csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), stream, csv.WriteOptions(include_header=False))
    stream.seek(0)
    copy_in(connection, f"COPY {table} FROM STDIN (FORMAT csv)", stream)


def _users(shop: Shop) -> pd.DataFrame:
    times = (
        pd.Series(shop.events.occurred_at)
        .groupby(shop.events.user)
        .agg(["min", "max"])
        .reindex(np.arange(len(shop.users)))
    )
    return shop.users.assign(**{name: times[name].dt.tz_localize("UTC") for name in ("min", "max")})


def chunks(shop: Shop) -> Iterator[dict[str, Any]]:
    """Yield a shop's events as columns, a million rows at a time."""
    events: Events = shop.events
    products, users = (pa.array(frame["external_id"]) for frame in (shop.products, shop.users))
    types = pa.array(shop.event_types)
    for start in range(0, len(events.ids), EVENTS_PER_CHUNK):
        part = slice(start, start + EVENTS_PER_CHUNK)
        chunk = {
            "event_id": events.ids[part],
            "user_key": users.take(pa.array(events.user[part])),
            "external_id": products.take(pa.array(events.product[part])),
            "event_type": types.take(pa.array(events.event_type[part])),
            "quantity": events.quantity[part],
            "occurred_at": events.occurred_at[part],
        }
        yield chunk if events.session_id is None else {**chunk, "session_id": events.session_id[part]}


def store(shop: Shop, report: Report) -> None:
    """Store a shop in a migrated database, completely or not at all. Existing rows stay as they are."""
    started = time.perf_counter()
    with transaction(statement_timeout_s=0) as connection:
        # a second load at the same time waits here, and then finds everything stored
        advisory_locks.lock_until_commit(connection, advisory_locks.SHOP_LOAD)
        # before the products: their search documents are written in the shop's language
        execute(connection, SETTINGS, asdict(shop.settings))
        for statement in STAGE:
            execute(connection, statement)
        _copy(connection, "shop_products", shop.products.assign(tags=shop.products["tags"].map("|".join)))
        _copy(connection, "shop_users", _users(shop))
        for statement in (CATEGORIES, PRODUCTS, STATS, USERS):
            execute(connection, statement)
        execute(connection, ANALYZE)
        report(f"{len(shop.products):,} products and {len(shop.users):,} users")
        stored, dates = 0, set()
        for number, chunk in enumerate(chunks(shop)):
            loaded = bulk_loading.append(connection, streams(chunk))
            stored += loaded.stored
            dates |= loaded.dates
            seen = min((number + 1) * EVENTS_PER_CHUNK, len(shop.events.ids))
            report(f"{seen:,} of {len(shop.events.ids):,} events, {time.perf_counter() - started:.1f} s")
        daily_stats.refresh(connection, sorted(dates))
        bulk_loading.analyze(connection)
    report(f"{stored:,} new events in {time.perf_counter() - started:.1f} s")
