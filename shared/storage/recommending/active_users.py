"""Recently active users, in pages."""

from datetime import datetime
from typing import Final, NamedTuple

from shared.clients.postgres import read

PAGE: Final = """
SELECT u.id, u.external_id FROM users u
WHERE u.id > :after AND EXISTS (SELECT FROM events e WHERE e.user_id = u.id AND e.occurred_at >= :since)
ORDER BY u.id LIMIT :size
"""


class ActiveUser(NamedTuple):
    """A user: the row id, and the public id."""

    id: int
    external_id: str


def read_page(after: int, since: datetime, size: int) -> list[ActiveUser]:
    """Return the next ``size`` users with a row id above ``after`` and an event since ``since``, ordered by row id."""
    return [ActiveUser(int(row[0]), row[1]) for row in read(PAGE, after=after, since=since, size=size)]
