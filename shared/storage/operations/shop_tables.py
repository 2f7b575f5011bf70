"""The tables of an exported shop: the rows and columns of an export, and the statements that restore them.

An export identifies users by their public ids and products by both ids. It contains neither account data (emails,
names, locations) nor secrets. docs/export.md describes the files.
"""

from typing import Final, Literal, NamedTuple

Kind = Literal["text", "bigint", "integer", "boolean", "time", "price", "rating", "double", "date", "uuid"]
# The staging table into which a part of any table is copied before its statements run.
STAGE: Final = "restored_rows"


class Column(NamedTuple):
    """A column of a file. ``expression`` reads it in the export's statement; by default, the column of that name."""

    name: str
    kind: Kind
    expression: str = ""

    @property
    def sql(self) -> str:
        """Return the expression formatted for CSV: times in ISO 8601, booleans as words."""
        value = self.expression or f"t.{self.name}"
        if self.kind == "time":
            # Connections use the time zone UTC.
            return f"""to_char({value}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        return f"({value})::text" if self.kind == "boolean" else value


class ShopTable(NamedTuple):
    """A table of the export, written as files of consecutive rows.

    base : the table that provides the rows, aliased ``t``. joins : further tables that the columns read.
    key : the column of ``t`` that orders the rows and splits them into parts. then : further columns of the order.
    restore : statements that store the rows of STAGE, aliased ``r``.
    weight : length of a row, in rows of an average table.
    is_single : whether the table is a single file, because its rows refer to each other.
    """

    name: str
    base: str
    key: str
    key_kind: Kind
    columns: tuple[Column, ...]
    restore: tuple[str, ...]
    joins: str = ""
    then: str = ""
    where: str = "true"
    weight: int = 1
    is_single: bool = False


_USER: Final = "JOIN users u ON u.external_id = r.user_id"
_OF_USER: Final = "JOIN users u ON u.id = t.user_id"
_USER_ID: Final = Column("user_id", "text", "u.external_id")
_PRODUCT_ID: Final = Column("product_id", "bigint")


def _as_exported(
    name: str, base: str, key: str, key_kind: Kind, columns: tuple[Column, ...], then: str = ""
) -> ShopTable:
    """Return a table whose columns are restored under their names in the file; ``_USER_ID`` becomes the id in
    ``users``."""
    names = ", ".join(column.name for column in columns)
    values = ", ".join("u.id" if column is _USER_ID else f"r.{column.name}" for column in columns)
    has_user = _USER_ID in columns
    restore = f"INSERT INTO {base} ({names}) SELECT {values} FROM {STAGE} r {_USER if has_user else ''}"
    return ShopTable(name, base, key, key_kind, columns, (restore,), joins=_OF_USER if has_user else "", then=then)


TABLES: Final = (
    ShopTable(
        "categories",
        "categories",
        "id",
        "bigint",
        (
            Column("id", "bigint"),
            Column("parent_id", "bigint"),
            Column("name", "text"),
            Column("leaf", "text"),
            Column("path", "text"),
        ),
        # A parent's path is a prefix of its children's.
        (
            f"""INSERT INTO categories (id, parent_id, name, leaf)
            SELECT id, parent_id, name, leaf FROM {STAGE} ORDER BY length(path), id""",
            "SELECT setval(pg_get_serial_sequence('categories', 'id'), coalesce(max(id), 0) + 1, false) "
            "FROM categories",
        ),
        is_single=True,
    ),
    ShopTable(
        "products",
        "products",
        "id",
        "bigint",
        (
            Column("external_id", "text"),
            Column("name", "text"),
            Column("item_group_id", "text"),
            Column("variant_title", "text"),
            Column("description", "text", "nullif(t.description, '')"),
            Column("price", "price"),
            Column("list_price", "price"),
            Column("currency", "text"),
            Column("image_url", "text"),
            Column("category", "text", "c.path"),
            Column(
                "further_categories",
                "text",
                """(SELECT json_agg(f.path ORDER BY w.place)::text
                    FROM unnest(t.further_category_ids) WITH ORDINALITY AS w(id, place)
                    JOIN categories f ON f.id = w.id)""",
            ),
            Column("brand", "text"),
            Column("tags", "text", "CASE WHEN t.tags <> '{}' THEN to_json(t.tags)::text END"),
            Column("quantity", "integer"),
            Column("stock_counted", "boolean"),
            Column("is_active", "boolean"),
            Column("available_from", "time"),
            Column("average_rating", "rating"),
            Column("review_count", "integer"),
            Column("latitude", "double"),
            Column("longitude", "double"),
            Column("id", "bigint"),
            Column("created_at", "time"),
            Column("updated_at", "time"),
            Column("views", "bigint", "s.views"),
            Column("purchase_count", "bigint", "s.purchase_count"),
        ),
        (
            f"""INSERT INTO products (
                id, external_id, name, item_group_id, variant_title, description, price, list_price, currency,
                image_url, category_id, further_category_ids, brand, tags, quantity, stock_counted, is_active,
                available_from, average_rating, review_count, latitude, longitude, created_at, updated_at)
            SELECT r.id, external_id, r.name, item_group_id, variant_title, coalesce(description, ''), price,
                list_price, currency, image_url, c.id,
                ARRAY(SELECT f.id FROM json_array_elements_text(r.further_categories::json)
                        WITH ORDINALITY AS w(path, place) JOIN categories f USING (path) ORDER BY place),
                brand, ARRAY(SELECT json_array_elements_text(r.tags::json)), quantity,
                coalesce(stock_counted, true), is_active, available_from, average_rating, review_count, latitude,
                longitude, created_at, updated_at
            FROM {STAGE} r LEFT JOIN categories c ON c.path = r.category ORDER BY r.id""",
            f"""INSERT INTO product_stats (product_id, views, purchase_count)
            SELECT id, views, purchase_count FROM {STAGE} WHERE views IS NOT NULL ORDER BY id""",
            "SELECT setval(pg_get_serial_sequence('products', 'id'), coalesce(max(id), 0) + 1, false) FROM products",
        ),
        joins="LEFT JOIN categories c ON c.id = t.category_id LEFT JOIN product_stats s ON s.product_id = t.id",
        weight=5,
    ),
    ShopTable(
        "users",
        "users",
        "id",
        "bigint",
        (
            Column("user_id", "text", "t.external_id"),
            Column("is_anonymous", "boolean"),
            Column("created_at", "time"),
            Column("last_seen_at", "time"),
        ),
        (
            f"""INSERT INTO users (external_id, is_anonymous, created_at, last_seen_at)
            SELECT user_id, is_anonymous, created_at, last_seen_at FROM {STAGE} ORDER BY position""",
        ),
    ),
    ShopTable(
        "merges",
        "users",
        "id",
        "bigint",
        (
            Column("user_id", "text", "t.external_id"),
            Column("merged_into", "text", "u.external_id"),
            Column("merged_at", "time"),
        ),
        (
            f"""UPDATE users g SET merged_into = u.id, merged_at = r.merged_at
            FROM {STAGE} r JOIN users u ON u.external_id = r.merged_into WHERE g.external_id = r.user_id""",
        ),
        joins="JOIN users u ON u.id = t.merged_into",
        where="t.merged_into IS NOT NULL",
    ),
    ShopTable(
        "events",
        "events",
        "event_id",
        "uuid",
        (
            Column("event_id", "uuid"),
            _USER_ID,
            Column("event_type", "text"),
            Column("timestamp", "time", "t.occurred_at"),
            Column("external_id", "text", "p.external_id"),
            _PRODUCT_ID,
            Column("quantity", "integer"),
            Column("session_id", "text"),
            Column("metadata", "text", "t.metadata::text"),
            Column("received_at", "time"),
            Column("counted", "boolean"),
            Column("returned", "integer"),
        ),
        (
            f"""SELECT sum(ensure_event_partitions(month, month)) FROM (
                SELECT DISTINCT date_trunc('month', timestamp AT TIME ZONE 'UTC')::date AS month
                FROM {STAGE} ORDER BY 1) AS months""",
            f"INSERT INTO event_ids (event_id, occurred_at) SELECT event_id, timestamp FROM {STAGE}",
            f"""INSERT INTO events (event_id, user_id, product_id, event_type, quantity, occurred_at, received_at,
                session_id, metadata, counted, returned)
            SELECT event_id, u.id, product_id, event_type, quantity, timestamp, received_at, session_id,
                metadata::jsonb, counted, returned
            FROM {STAGE} r {_USER}""",
        ),
        joins=f"{_OF_USER} LEFT JOIN products p ON p.id = t.product_id",
    ),
    ShopTable(
        "orders",
        "orders",
        "id",
        "uuid",
        (
            Column("order_id", "uuid", "t.id"),
            _USER_ID,
            Column("state", "text"),
            Column("total", "price"),
            Column("created_at", "time"),
            Column("updated_at", "time"),
        ),
        (
            f"""INSERT INTO orders (id, user_id, request_hash, state, total, created_at, updated_at)
            SELECT order_id, u.id, '', state, total, r.created_at, r.updated_at FROM {STAGE} r LEFT {_USER}""",
        ),
        joins="LEFT JOIN users u ON u.id = t.user_id",
    ),
    _as_exported(
        "order_lines",
        "order_items",
        "order_id",
        "uuid",
        (
            Column("order_id", "uuid"),
            Column("external_id", "text"),
            _PRODUCT_ID,
            Column("name", "text"),
            Column("variant_title", "text"),
            Column("quantity", "integer"),
            Column("price", "price"),
            Column("event_id", "uuid"),
            Column("price_when_added", "price"),
            Column("added_at", "time"),
        ),
        then="t.product_id",
    ),
    ShopTable(
        "order_states",
        "order_state_changes",
        "id",
        "bigint",
        (Column("order_id", "uuid"), Column("state", "text"), Column("reason", "text"), Column("changed_at", "time")),
        (
            f"""INSERT INTO order_state_changes (order_id, state, reason, changed_at)
            SELECT order_id, state, reason, changed_at FROM {STAGE} ORDER BY position""",
        ),
    ),
    _as_exported(
        "purchase_lines",
        "purchase_lines",
        "event_id",
        "uuid",
        (
            Column("event_id", "uuid"),
            Column("sent_id", "uuid"),
            _USER_ID,
            Column("order_id", "text"),
            _PRODUCT_ID,
            Column("quantity", "integer"),
            Column("price", "price"),
            Column("returned", "integer"),
            Column("vouched", "boolean"),
            Column("occurred_at", "time"),
        ),
    ),
    _as_exported(
        "refunds",
        "refunds",
        "event_id",
        "uuid",
        (
            Column("event_id", "uuid"),
            _USER_ID,
            Column("order_id", "text"),
            _PRODUCT_ID,
            Column("quantity", "integer"),
            Column("vouched", "boolean"),
            Column("received_at", "time"),
            Column("settled_at", "time"),
        ),
    ),
    _as_exported(
        "counted_purchases",
        "counted_purchases",
        "event_id",
        "uuid",
        (
            Column("event_id", "uuid"),
            Column("counted_at", "time"),
            Column("counted", "boolean"),
            Column("returned", "boolean"),
        ),
    ),
    _as_exported(
        "purchases",
        "user_purchases",
        "user_id",
        "bigint",
        (
            _USER_ID,
            _PRODUCT_ID,
            Column("purchase_count", "integer"),
            Column("first_at", "time"),
            Column("last_at", "time"),
        ),
        then="t.product_id",
    ),
    _as_exported(
        "preferences",
        "user_preferences",
        "user_id",
        "bigint",
        (_USER_ID, Column("kind", "text"), Column("key", "text"), Column("score", "double"), Column("as_of", "time")),
        then="t.kind, t.key",
    ),
    _as_exported(
        "price_bands",
        "user_price_bands",
        "user_id",
        "bigint",
        (
            _USER_ID,
            Column("weight", "double"),
            Column("log_sum", "double"),
            Column("square_sum", "double"),
            Column("as_of", "time"),
        ),
    ),
    _as_exported(
        "carts",
        "cart_items",
        "user_id",
        "bigint",
        (
            _USER_ID,
            _PRODUCT_ID,
            Column("quantity", "integer"),
            Column("price_when_added", "price"),
            Column("added_at", "time"),
        ),
        then="t.product_id",
    ),
    _as_exported(
        "wishlists",
        "wishlist_items",
        "user_id",
        "bigint",
        (_USER_ID, _PRODUCT_ID, Column("added_at", "time")),
        then="t.product_id",
    ),
    _as_exported(
        "hourly_counts",
        "event_counts_hourly",
        "hour",
        "time",
        (Column("hour", "time"), _PRODUCT_ID, Column("event_type", "text"), Column("event_count", "integer")),
        then="t.product_id, t.event_type",
    ),
    _as_exported(
        "daily_counts",
        "daily_event_stats",
        "date",
        "date",
        (
            Column("date", "date"),
            Column("event_type", "text"),
            Column("event_count", "bigint"),
            Column("unique_users", "bigint"),
            Column("unique_products", "bigint"),
        ),
        then="t.event_type",
    ),
)
