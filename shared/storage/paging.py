"""Pagination of lists by page number or cursor (shared/domain/cursors.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from shared.clients.postgres import read
from shared.domain import cursors
from shared.domain.cursors import KeyType
from shared.errors import InvalidRequest


class Place(NamedTuple):
    """Where a page begins and how many rows it has; ``offset`` counts from the cursor if there is one."""

    limit: int
    offset: int = 0
    after: str | None = None


@dataclass(frozen=True)
class PagedList:
    """A list with a fixed sort order.

    name : identifies the list and its order in cursors.
    statement : selects rows in this order, with ``{after}`` as one of its conditions, ``:limit`` and ``:offset``.
    count : selects the number of rows on all pages.
    key : columns of the sort order: ``(expression, descends, type)``; the last one makes each key unique.
    places : positions of the key's columns in a row of the statement.
    """

    name: str
    statement: str
    count: str
    key: Sequence[tuple[str, bool, KeyType]]
    places: Sequence[int]

    @cached_property
    def _statements(self) -> tuple[str, str]:
        return self.statement.replace("{after}", "true"), self.statement.replace("{after}", cursors.after(self.key))

    def read(self, place: Place, **parameters: Any) -> tuple[list[Any], int, str | None]:
        """Return a page's rows, the number of rows on all pages, and the cursor of the next page; None on the last.

        Raises InvalidRequest for a cursor of another list.
        """
        from_start, after_key = self._statements
        # One row more than the page has, to see whether there is a next page.
        page = {"limit": place.limit + 1, "offset": place.offset, **parameters}
        if place.after is None:
            rows = read(from_start, **page)
        else:
            try:
                key = cursors.decode(place.after, self.name, [kind for _column, _descends, kind in self.key])
            except ValueError as error:
                raise InvalidRequest(f"after: {error}.") from None
            rows = read(after_key, **page, **cursors.parameters(key))
        following = None
        if len(rows) > place.limit:
            rows = rows[: place.limit]
            following = cursors.encode(self.name, [rows[-1][position] for position in self.places])
        return list(rows), int(read(self.count, **parameters)[0][0]), following
