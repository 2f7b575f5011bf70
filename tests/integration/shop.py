"""Builders of small shops: products, events and models, written straight into the tables."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import orjson

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes
from shared.storage.recommending import content

_begun = [datetime.now(UTC)]
# the fields of a product in every answer, in order
PRODUCT_FIELDS = [
    "id",
    "external_id",
    "item_group_id",
    "name",
    "variant_title",
    "description",
    "price",
    "list_price",
    "currency",
    "image_url",
    "category_id",
    "category",
    "category_path",
    "further_categories",
    "brand",
    "tags",
    "quantity",
    "stock_counted",
    "is_active",
    "available_from",
    "average_rating",
    "review_count",
    "latitude",
    "longitude",
    "views",
    "purchase_count",
    "created_at",
    "updated_at",
]

# (external_id, name, price, category, tags, quantity, purchases)
CATALOG: list[tuple[str, str, float, str | None, list[str], int, int]] = [
    ("85123A", "White Hanging Heart T-Light Holder", 2.95, "Home > Candles", ["white", "heart"], 5, 900),
    ("H2", "Heart of Wicker, small", 1.65, "Home > Decoration", ["heart", "wicker"], 0, 700),
    ("H3", "Heart of Wicker, large", 2.95, "Home > Decoration", ["heart", "wicker"], 3, 300),
    ("HD", "Hard Case", 25.00, "Bags", ["black"], 7, 10),
    ("L1", "Paper Lantern", 4.99, "Garden", ["paper"], 9, 50),
    ("L2", "Metal Lantern with hearts", 5.00, "Garden", ["metal", "heart"], 9, 40),
    ("C1", "Christmas Tree Candle", 9.99, "Home > Candles", ["christmas"], 1, 30),
    ("C2", "Christmas Card", 0.99, "Stationery", ["christmas", "paper"], 100, 20),
    ("CA", "Café Crème Mug", 7.50, "Home > Kitchen", ["white"], 4, 15),
    ("D1", "Decorated Plate", 12.00, "Home > Kitchen", [], 4, 5),
    ("O1", "Onion Jar", 3.00, "Home > Kitchen", [], 4, 1),
    ("CD", "Cardigan", 3.10, "Clothes", [], 2, 500),
    ("SP", "Spare part of H2", 3.20, None, [], 1, 2),
    ("X 7/b", "Nameless thing", 1.00, None, [], 1, 0),
]


def begin_test() -> None:
    """Have ``now`` return this moment, until the next test begins."""
    _begun[0] = datetime.now(UTC)


def now() -> datetime:
    """Return when the running test began, to the second.

    It is one moment for a whole test, and of today however long the run lasts: what was viewed half an hour ago counts
    otherwise.
    """
    return _begun[0].replace(microsecond=0)


def add_products(count: int = 10, categories: Sequence[str] = ("Candles", "Bags")) -> None:
    """Add products 1 to ``count``; product n costs n and is in the category of n modulo their number."""
    postgres.write("INSERT INTO categories (name) SELECT unnest(cast(:names AS text[]))", names=list(categories))
    postgres.write(
        """INSERT INTO products (id, external_id, name, price, category_id, brand, tags, quantity)
           SELECT n, 'SKU' || n, 'Product ' || n, n, c.id, 'Brand ' || mod(n, 3), ARRAY['tag' || mod(n, 4)], 5
           FROM generate_series(1, :count) AS n
           JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM categories) AS c
               ON c.place = mod(n, :categories)""",
        count=count,
        categories=len(categories),
    )
    postgres.write("SELECT setval(pg_get_serial_sequence('products', 'id'), :count)", count=count)
    embed_products()


def embed_products() -> None:
    """Give new products their embeddings, as refresh_catalog does after a commit."""
    content.refresh_pending()


def set_search_language(language: str | None) -> None:
    """Set the language of a shop; without products, so that nothing must be indexed again."""
    postgres.write("UPDATE shop SET search_language = :language", language=language)


def add_catalog() -> dict[str, int]:
    """Add the products of ``CATALOG``, in a shop with English titles, and return their ids by ``external_id``."""
    set_search_language("english")
    rows = [
        ProductWrite.model_validate(
            {
                "external_id": code,
                "name": name,
                "price": price,
                "category": category,
                "tags": tags,
                "quantity": quantity,
            }
        )
        for code, name, price, category, tags, quantity, _purchases in CATALOG
    ]
    with postgres.transaction() as connection:
        bulk_writes.upsert(connection, rows)
    embed_products()
    postgres.write(
        """INSERT INTO product_stats (product_id, views, purchase_count)
           SELECT p.id, s.purchases * 3, s.purchases FROM products p
           JOIN unnest(cast(:codes AS text[]), cast(:purchases AS bigint[])) AS s(code, purchases)
               ON s.code = p.external_id
           ON CONFLICT (product_id) DO UPDATE SET views = EXCLUDED.views, purchase_count = EXCLUDED.purchase_count""",
        codes=[row[0] for row in CATALOG],
        purchases=[row[6] for row in CATALOG],
    )
    return {row[1]: row[0] for row in postgres.read("SELECT id, external_id FROM products")}


def add_model(neighbours: dict[int, dict[int, float]], parameters: dict[str, Any] | None = None) -> int:
    """Publish and activate a model with these neighbours; returns its version."""
    postgres.write("UPDATE models SET active = false")
    row = postgres.write(
        """INSERT INTO models (algorithm, parameters, active)
           VALUES ('test', cast(:parameters AS jsonb), true) RETURNING version""",
        parameters=orjson.dumps(parameters or {}).decode(),
    )[0]
    version = int(row[0])
    postgres.write(f"CREATE TABLE item_similarity_v{version} PARTITION OF item_similarity FOR VALUES IN ({version})")
    for product_id, scores in neighbours.items():
        ordered = sorted(scores.items(), key=lambda pair: -pair[1])
        postgres.write(
            "INSERT INTO item_similarity VALUES (:version, :id, :neighbours, cast(:scores AS real[]), :counts)",
            version=version,
            id=product_id,
            neighbours=[neighbour for neighbour, _ in ordered],
            scores=[score for _, score in ordered],
            counts=[2] * len(ordered),
        )
    return version


class StoredEvent(NamedTuple):
    """An event of a user; ``hours_ago`` may be a fraction."""

    user: str
    product: int | None
    event_type: str = "view"
    hours_ago: float = 1.0


def add_plain_products(number: int, *, inactive: Iterable[int] = ()) -> list[int]:
    """Add products without category, brand and tags; return their ids, ascending.

    Product n, counted from 0, costs n + 0.5. Products at the positions ``inactive`` are not for sale.
    """
    rows = postgres.write(
        """INSERT INTO products (name, price, quantity, is_active)
           SELECT 'product ' || n, n + 0.5, 10, n <> ALL(cast(:inactive AS integer[]))
           FROM generate_series(0, :number - 1) AS n ORDER BY n RETURNING id""",
        number=number,
        inactive=list(inactive),
    )
    return sorted(int(row[0]) for row in rows)


def today_in_utc() -> date:
    """Return today's date in UTC; shortly before midnight wait for it, so that a test does not see two days."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    if midnight - now < timedelta(seconds=30):
        time.sleep((midnight - now).total_seconds())
        return midnight.date()
    return now.date()


def add_events(events: Iterable[StoredEvent]) -> None:
    """Store events as if they had come in: with their users and their hourly counts."""
    now = datetime.now(UTC)
    rows = [
        {
            "event_id": str(uuid4()),
            "user": event.user,
            "product_id": event.product,
            "event_type": event.event_type,
            "occurred_at": (now - timedelta(hours=event.hours_ago)).isoformat(),
        }
        for event in events
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


def checkerboard_views(ids: list[int], users: int) -> list[StoredEvent]:
    """Return the views of a checkerboard: even users view the products at even positions, odd users the others."""
    return [StoredEvent(f"u{u}", ids[p]) for u in range(users) for p in range(len(ids)) if (u + p) % 2 == 0]


def add_two_kinds_of_users() -> None:
    """Add 40 products, 80 users of two kinds and 1,600 events over 60 days.

    Nine of ten events are of products of the user's own kind.
    """
    ids = add_plain_products(40)
    rng = np.random.default_rng(5)
    events = []
    for _ in range(1600):
        user = int(rng.integers(80))
        kind = user % 2 if rng.random() < 0.9 else 1 - user % 2
        event_type = str(rng.choice(["view", "add_to_cart", "purchase"], p=[0.5, 0.2, 0.3]))
        product_id = ids[2 * int(rng.integers(20)) + kind]
        events.append(StoredEvent(f"u{user}", product_id, event_type, float(rng.random() * 24 * 60)))
    add_events(events)
