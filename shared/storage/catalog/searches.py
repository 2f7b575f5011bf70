"""Daily counts of what shoppers searched for: how often, and how many products were found.

No user is stored. A client (``shared/event_origin.py``) counts once a day per text, so that one client cannot inflate
its count. Texts that look like an email address or a long number are left out, since they may identify a person.

Requests do not wait: searches are buffered and written in the background, at most once every FLUSH_S. A crash of the
instance loses its buffer.
"""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from shared import event_origin
from shared.clients import closed_on_reset
from shared.clients.postgres import write
from shared.domain.text import canonical_name
from shared.errors import AppError
from shared.storage.paging import PagedList, Place

log = logging.getLogger(__name__)

FLUSH_S: Final = 2.0
# Seconds to wait at shutdown for a thread that is writing. It would otherwise find its connection closed, which counts
# as a Postgres failure.
CLOSING_S: Final = 1.0
# Buffered searches beyond this number, as when Postgres is down, are dropped, oldest first.
MAX_COLLECTED: Final = 5000
MAX_QUERY: Final = 200
# Maximum number of different texts that count per client and day.
MAX_QUERIES_PER_CLIENT: Final = 200
# An email address, or a number as long as a phone or card number.
_PERSONAL: Final = re.compile(r"@|(?:\d[ ./()+-]*){9}")

# without_waiting() commits asynchronously: see shared/storage/people/search_history.py
RECORD: Final = f"""
WITH given AS MATERIALIZED (
    SELECT query, results, client, place, hashtextextended(query, 0) AS query_key, shop_day(now()) AS day
    FROM unnest(cast(:queries AS text[]), cast(:results AS bigint[]), cast(:clients AS text[]))
         WITH ORDINALITY AS searched(query, results, client, place)
    WHERE without_waiting()
), counted_clients AS (
    INSERT INTO search_caps (day, client, query_key)
    SELECT DISTINCT g.day, g.client, g.query_key FROM given g
    WHERE g.client IS NOT NULL
      AND (SELECT count(*) FROM search_caps c WHERE c.day = g.day AND c.client = g.client) < {MAX_QUERIES_PER_CLIENT}
    ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING RETURNING client, query_key
), counts AS (
    SELECT g.day, g.query,
           count(DISTINCT c.client) + count(*) FILTER (WHERE g.client IS NULL) AS searches,
           (array_agg(g.results ORDER BY g.place DESC) FILTER (WHERE g.results IS NOT NULL))[1] AS results
    FROM given g LEFT JOIN counted_clients c ON c.client = g.client AND c.query_key = g.query_key
    GROUP BY 1, 2
)
INSERT INTO search_counts AS stored (day, query, searches, results)
SELECT day, query, searches, results FROM counts WHERE searches > 0 ORDER BY query
ON CONFLICT (day, query) DO UPDATE SET searches = stored.searches + EXCLUDED.searches,
    results = coalesce(EXCLUDED.results, stored.results), last_at = now()"""
_TOTALS: Final = """
SELECT query, sum(searches)::bigint AS searches,
       (array_agg(results ORDER BY day DESC) FILTER (WHERE results IS NOT NULL))[1] AS results, max(last_at) AS last_at
FROM search_counts WHERE day > shop_day(now()) - cast(:days AS integer) GROUP BY query
HAVING cast(:results AS bigint) IS NULL
    OR (array_agg(results ORDER BY day DESC) FILTER (WHERE results IS NOT NULL))[1] = cast(:results AS bigint)"""
LIST: Final = f"""
SELECT * FROM ({_TOTALS}) AS totals WHERE {{after}} ORDER BY searches DESC, query LIMIT :limit OFFSET :offset"""
COUNT: Final = f"SELECT count(*) FROM ({_TOTALS}) AS totals"
SEARCHES: Final = PagedList(
    "searches", LIST, COUNT, [("searches", True, "bigint"), ("query", False, "text")], places=(1, 0)
)


class CountedSearch(NamedTuple):
    """A text, how often it was searched for, how many products the last search found, and the time of that search."""

    query: str
    searches: int
    results: int | None
    last_at: datetime


class _Search(NamedTuple):
    query: str
    results: int | None
    client: str | None


class _Collected:
    def __init__(self) -> None:
        self.searches: deque[_Search] = deque(maxlen=MAX_COLLECTED)
        self.flushed_at = float("-inf")
        self.is_flushing = threading.Lock()


_collected = _Collected()


def query_of(text: str) -> str | None:
    """Return the normalized text under which a search counts; None if it is empty or looks personal."""
    query = canonical_name(" ".join(text.split()).lower())[:MAX_QUERY]
    return query if query and not _PERSONAL.search(query) else None


def note(text: str, results: int | None) -> None:
    """Count a search of the current request, in the background."""
    origin = event_origin.current()
    query = query_of(text)
    if query is None or origin.crawler:
        return
    # A vouched request comes from the shop's server, on behalf of any shopper, so it always counts.
    _collected.searches.append(_Search(query, results, None if origin.vouched else origin.client or ""))
    if time.monotonic() - _collected.flushed_at >= FLUSH_S:
        _collected.flushed_at = time.monotonic()
        threading.Thread(target=flush, name="searches", daemon=True).start()


def flush() -> None:
    """Write the buffered searches. A failure is only logged, and they are retried."""
    collected = _collected
    with collected.is_flushing:
        # One by one, because requests keep adding, and what they add now must not be lost.
        searches = [collected.searches.popleft() for _ in range(len(collected.searches))]
        try:
            record(searches)
        except AppError as error:
            collected.searches.extendleft(reversed(searches))
            log.warning("searches not counted", extra={"error": str(error)})


def record(searches: Sequence[tuple[str, int | None, str | None]]) -> None:
    """Count searches ``(query, results, client)``, with ``query`` from ``query_of``. Without a client, each counts."""
    if searches:
        queries, results, clients = zip(*searches, strict=True)
        write(RECORD, queries=list(queries), results=list(results), clients=list(clients))


def page(days: int, results: int | None, place: Place) -> tuple[list[CountedSearch], int, str | None]:
    """Return the searches of the last ``days`` days, most frequent first, their total and the next page's cursor.

    ``results`` : only texts whose last search found this many products. Raises InvalidRequest for an invalid cursor.
    """
    rows, total, following = SEARCHES.read(place, days=days, results=results)
    return [CountedSearch(*row) for row in rows], total, following


@closed_on_reset
def close() -> None:
    """Discard the buffer, after waiting up to CLOSING_S seconds for a write in progress."""
    global _collected
    if _collected.is_flushing.acquire(timeout=CLOSING_S):
        _collected.is_flushing.release()
    _collected = _Collected()
