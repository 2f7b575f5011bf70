"""Pulls a Medusa 2 server's products from the Store API, as shoppers see them, and its orders from the Admin API.

A pull reads what changed since the last one, page by page. After each page the feed's cursor records the progress, so
that after a run that ended early the next one continues there. Once every FULL_EVERY all products are read, which finds
deleted products, and prices changed by a price list, which does not update a product's time.
docs/decisions/0048-medusa.md has the reasons.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from jobs.data.catalog_import import ROWS_PER_CHUNK, CatalogImport, hide_vanished, recorded_failure
from jobs.data.medusa_api import Medusa, Stream, time_of
from shared.clients import feed_secrets
from shared.clients.postgres import Connection, transaction
from shared.domain.catalog import ProductWrite
from shared.domain.medusa import ORDER_FIELDS, reports_of
from shared.event_outbox import enqueue, publish
from shared.storage.catalog import bulk_writes, feeds
from shared.storage.events import outbox
from shared.storage.operations import imports, shop
from shared.tables.medusa import PRODUCT_FIELDS, products_of
from shared.tables.product_values import Row, RowError

FULL_EVERY: Final = timedelta(hours=6)
# parameters of a feed's address that choose the prices and the products to pull, if Medusa has several
_CHOICES: Final = ("region_id", "sales_channel_id")


class _Pull:
    """One run: the feed, its cursor, and what was done."""

    def __init__(self, feed: Mapping[str, Any], medusa: Medusa, deadline: float) -> None:
        self.feed, self.medusa, self.deadline = feed, medusa, deadline
        self.cursor: dict[str, Any] = dict(feed["cursor"] or {})
        self.orders = self.refused_orders = 0
        self.hidden = 0
        self.reason = ""
        self.work: CatalogImport | None = None

    def save(self, connection: Connection, **state: Any) -> None:
        """Record the progress of the pull, in the transaction that stores the data."""
        self.cursor |= state
        feeds.save_cursor(connection, self.feed, self.cursor)

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self.deadline

    def pull_products(self) -> bool:
        """Store the products that changed, and return whether the pass was completed."""
        state = dict(self.cursor.get("products") or {})
        now = datetime.now(UTC)
        if "offset" not in state and ("full_at" not in state or now - time_of(state["full_at"]) >= FULL_EVERY):
            state = {"full_at": now.isoformat(), "mark": None}
        stream = Stream(
            self.medusa,
            "/store/products",
            "products",
            PRODUCT_FIELDS,
            state,
            {"region_id": self.medusa.region_id},
            is_store=True,
        )
        is_full = "since" not in state
        with self._importing() as importing:
            if is_full and state["mark"] is None:
                # all products of the pass are marked with the number of its first import
                state["mark"] = importing.begin()
            for page in stream.pages():
                # a page whose progress was not recorded is stored again, which changes nothing
                self._store(importing, page, int(state["mark"]))
                with transaction() as connection:
                    done = state | {"offset": state["offset"] + len(page), "last_id": page[-1].get("id")}
                    self.save(connection, products=done)
                if self.is_late:
                    return False
            if is_full:
                vanished = hide_vanished(self.feed, importing.work, int(state["mark"]))
                self.hidden, self.reason = self.hidden + vanished["hidden"], vanished["reason"]
        with transaction() as connection:
            self.save(connection, products=state)
        return True

    @contextmanager
    def _importing(self) -> Iterator["_Importing"]:
        importing = _Importing(self.feed)
        self.work = importing.work
        try:
            with importing.recorded():
                yield importing
        finally:
            importing.end(self.hidden, self.reason)

    def _store(self, importing: "_Importing", page: list[dict[str, Any]], mark: int) -> None:
        importing.begin()
        rows: list[Row | list[RowError]] = []
        for product in page:
            rows += products_of(product, self.medusa.categories, importing.work.counts["rows"] + len(rows) + 1)

        def note(connection: Connection, stored: list[ProductWrite], created: list[int]) -> list[int]:
            return feeds.mark_seen(connection, self.feed["id"], mark, stored, created)

        importing.work.in_chunk = note
        for start in range(0, len(rows), ROWS_PER_CHUNK):
            importing.work.take(rows[start : start + ROWS_PER_CHUNK])
        stored = [row[1].external_id for row in rows if isinstance(row, tuple)]
        refused = [external_id for row in rows if isinstance(row, list) and (external_id := row[0].external_id)]
        kept = [*filter(None, stored), *refused]
        with transaction() as connection:
            feeds.keep(connection, self.feed["id"], mark, refused)
            hidden = feeds.hide_variants(connection, self.feed["id"], [str(each.get("id")) for each in page], kept)
            unsent = bulk_writes.announce(connection, hidden, "deleted")
        self.hidden += len(hidden)
        if unsent:
            outbox.publish_now(unsent)

    def pull_orders(self) -> bool:
        """Report the orders that changed, and return whether the pass was completed."""
        state = dict(self.cursor.get("orders") or {})
        stream = Stream(self.medusa, "/admin/orders", "orders", ORDER_FIELDS, state)
        for page in stream.pages():
            with transaction() as connection:
                reported = enqueue(connection, [report for order in page for report in reports_of(order)])
                done = state | {"offset": state["offset"] + len(page), "last_id": page[-1].get("id")}
                self.save(connection, orders=done)
            publish(reported, "medusa")
            self.orders += len(page)
            self.refused_orders += len(reported.refused)
            if self.is_late:
                return False
        with transaction() as connection:
            self.save(connection, orders=state)
        return True


class _Importing:
    """The import of a run, recorded only once there is something to import."""

    def __init__(self, feed: Mapping[str, Any]) -> None:
        self.feed = feed
        self.id: int | None = None
        self.work = CatalogImport(on_progress=self._report, needs_ids=True)
        self._has_failed = False

    def begin(self) -> int:
        """Record that the import has begun, unless it is already recorded, and return its number."""
        if self.id is None:
            self.id = imports.begin("feed", self.feed["url"], self.feed["id"])
        return self.id

    def _report(self, counts: dict[str, int]) -> None:
        imports.report_progress(self.begin(), counts)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the import as failed if the ``with`` block raises."""
        try:
            yield
        except BaseException as error:
            self._has_failed = True
            if self.id is None:
                raise
            with recorded_failure(self.id, self.work):
                raise error from None

    def end(self, hidden: int, reason: str) -> None:
        """Record the import as succeeded, unless it failed or never began."""
        if self.id is not None and not self._has_failed:
            vanished = {"hidden": hidden, "reason": reason}
            imports.end(self.id, "succeeded", self.work.counts, self.work.report() | {"vanished": vanished})


def pull(feed: Mapping[str, Any], deadline: float) -> tuple[str, str]:
    """Pull what changed since the last run, until ``deadline`` on the monotonic clock; return the outcome and its text.

    Raises InvalidRequest if Medusa cannot be read. What was stored is kept, and the next run continues from there.
    """
    secret = feed_secrets.read_secret(feed["credentials"]).removesuffix(":")
    parts = urlsplit(feed["url"])
    chosen = {name: value for name, value in parse_qsl(parts.query) if name in _CHOICES}
    medusa = Medusa(
        urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), secret, shop.current().currency, chosen
    )
    run = _Pull(feed, medusa, deadline)
    is_complete = run.pull_products() and run.pull_orders()
    counts = run.work.counts if run.work is not None else {"rows": 0, "created": 0, "updated": 0, "rejected": 0}
    if is_complete and not counts["rows"] and not run.orders and not run.hidden:
        return "unchanged", "Nothing has changed since the last run."
    return "imported", " ".join(
        filter(
            None,
            [
                f"{counts['created']} created, {counts['updated']} changed, {counts['rejected']} variants refused; "
                f"{run.hidden} hidden; {run.orders} orders.",
                f"{run.refused_orders} reports of orders were refused; GET /admin/rejected-events lists them."
                if run.refused_orders
                else "",
                run.reason,
                "" if is_complete else "The time ran out; the next run continues from here.",
            ],
        )
    )
