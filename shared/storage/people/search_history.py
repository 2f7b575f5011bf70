"""The search history of users: each query once, with its count and times. Users can list and clear their own."""

import logging
from datetime import datetime
from typing import Final, NamedTuple

from shared.clients.postgres import write
from shared.domain.text import canonical_name
from shared.errors import DatabaseUnavailable
from shared.storage.paging import PagedList, Place

log = logging.getLogger(__name__)

# without_waiting() commits asynchronously: a crash of the server loses about a second of history, and no search waits
# for the disk.
ADD: Final = """
WITH account AS (
    INSERT INTO users (external_id, last_seen_at) SELECT :user_id, now() WHERE without_waiting()
    ON CONFLICT (external_id) DO UPDATE SET last_seen_at = now() RETURNING id
)
INSERT INTO search_history (user_id, query) SELECT id, :query FROM account
ON CONFLICT (user_id, query) DO UPDATE SET searches = search_history.searches + 1, last_at = now()"""
LIST: Final = """
SELECT query, searches, first_at, last_at FROM search_history
WHERE user_id = (SELECT id FROM users WHERE external_id = :user_id) AND {after}
ORDER BY last_at DESC, query LIMIT :limit OFFSET :offset"""
COUNT: Final = """
SELECT count(*) FROM search_history WHERE user_id = (SELECT id FROM users WHERE external_id = :user_id)"""
SEARCHES: Final = PagedList(
    "search-history", LIST, COUNT, [("last_at", True, "timestamptz"), ("query", False, "text")], places=(3, 0)
)
CLEAR: Final = "DELETE FROM search_history WHERE user_id = (SELECT id FROM users WHERE external_id = :user_id)"


class Search(NamedTuple):
    """A query, how often it was searched for, and when first and last."""

    query: str
    searches: int
    first_at: datetime
    last_at: datetime


def add(user_id: str, query: str) -> None:
    """Add a search. A failure is only logged, because the search itself must still be answered."""
    try:
        write(ADD, user_id=user_id, query=canonical_name(" ".join(query.split()).lower()))
    except DatabaseUnavailable:
        log.warning("search not added to history")


def page(user_id: str, place: Place) -> tuple[list[Search], int, str | None]:
    """Return a page of a user's searches, latest first, their total number and the next page's cursor.

    Raises InvalidRequest for an invalid cursor.
    """
    rows, total, following = SEARCHES.read(place, user_id=user_id)
    return [Search(*row) for row in rows], total, following


def clear(user_id: str) -> None:
    """Delete a user's search history."""
    write(CLEAR, user_id=user_id)
