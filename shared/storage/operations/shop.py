"""The shop's own settings: one row, read by every instance at most once in MAX_AGE_S.

``current()`` runs no statement during a request: the row is read on first use and then refreshed in the background,
while requests keep using the row they have. SQL reads what it needs (days, search language) from the table ``shop``.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from shared.clients import closed_on_reset
from shared.clients.postgres import Connection, execute, read
from shared.domain.shop import ShopSettings
from shared.errors import AppError

log = logging.getLogger(__name__)

# Seconds within which an instance sees a change made by another instance.
MAX_AGE_S: Final = 10.0

FIELDS: Final = ("name", "currency", "time_zone", "search_language", "unknown_products")
COLUMNS: Final = ", ".join(FIELDS)
READ: Final = f"SELECT {COLUMNS} FROM shop"
LOCK: Final = f"{READ} FOR UPDATE"
CHANGE: Final = f"""
UPDATE shop SET {", ".join(f"{name} = :{name}" for name in FIELDS)}, updated_at = now() RETURNING {COLUMNS}"""
ZONE_EXISTS: Final = "SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = :time_zone)"
# The configurations built into PostgreSQL; those of extensions and of Aisle are in other schemas or share a prefix.
LANGUAGES: Final = """
SELECT cfgname::text FROM pg_ts_config WHERE cfgnamespace = 'pg_catalog'::regnamespace ORDER BY cfgname"""


class _Copy:
    def __init__(self) -> None:
        self.settings: ShopSettings | None = None
        self.read_at = float("-inf")
        self.is_reading = threading.Lock()

    def renew(self) -> None:
        """Read the row. If Postgres is unavailable, the last known row stays in use."""
        try:
            self.settings = ShopSettings(*read(READ)[0])
        except AppError as error:
            log.warning("shop settings not read", extra={"error": str(error)})
        finally:
            self.is_reading.release()


_copy = _Copy()


def current() -> ShopSettings:
    """Return the shop's settings, out of date by at most MAX_AGE_S plus one read.

    Raises DatabaseUnavailable, on first use only.
    """
    copy = _copy
    known = copy.settings
    if known is None:
        known = copy.settings = ShopSettings(*read(READ)[0])
        copy.read_at = time.monotonic()
    elif time.monotonic() - copy.read_at >= MAX_AGE_S and copy.is_reading.acquire(blocking=False):
        copy.read_at = time.monotonic()
        threading.Thread(target=copy.renew, name="shop-settings", daemon=True).start()
    return known


@closed_on_reset
def forget() -> None:
    """Forget the row, so that the next use reads it again."""
    global _copy
    _copy = _Copy()


def current_in(connection: Connection) -> ShopSettings:
    """Return the shop's settings as the caller's transaction sees them."""
    return ShopSettings(*execute(connection, READ)[0])


def lock(connection: Connection) -> ShopSettings:
    """Return the shop's settings and keep other transactions from changing them until this one ends."""
    return ShopSettings(*execute(connection, LOCK)[0])


def change(connection: Connection, values: Mapping[str, Any]) -> ShopSettings:
    """Store all settings, inside the caller's transaction, and return them. Call ``forget`` after the commit."""
    return ShopSettings(*execute(connection, CHANGE, dict(values))[0])


def time_zone_exists(connection: Connection, time_zone: str) -> bool:
    """Return whether PostgreSQL knows the time zone; days are computed with PostgreSQL's time zone table."""
    return bool(execute(connection, ZONE_EXISTS, {"time_zone": time_zone})[0][0])


def search_languages(connection: Connection) -> list[str]:
    """Return the names of PostgreSQL's text search configurations, in alphabetical order."""
    return [row[0] for row in execute(connection, LANGUAGES)]
