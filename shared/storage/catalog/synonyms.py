"""Search synonyms: a search for ``term`` also finds ``meant``. The SQL function ``search_query`` reads them."""

from datetime import datetime
from typing import Final, NamedTuple

from shared.clients.postgres import Connection, execute, read
from shared.errors import Conflict, InvalidRequest, NotFound

MAX_SYNONYMS: Final = 5000

COLUMNS: Final = "id, term, meant, two_way, created_at"
LIST: Final = f"SELECT {COLUMNS} FROM synonyms ORDER BY lower(term), lower(meant)"
KEYS: Final = "SELECT search_stems(:term), search_stems(:meant), (SELECT count(*) FROM synonyms)"
ADD: Final = f"""
INSERT INTO synonyms (term, meant, two_way) VALUES (:term, :meant, :two_way)
ON CONFLICT (lower(term), lower(meant)) DO NOTHING RETURNING {COLUMNS}"""
DELETE: Final = f"DELETE FROM synonyms WHERE id = :id RETURNING {COLUMNS}"


class Synonym(NamedTuple):
    """A row of ``synonyms``."""

    id: int
    term: str
    meant: str
    two_way: bool
    created_at: datetime


def list_synonyms() -> list[Synonym]:
    """Return every synonym, by term."""
    return [Synonym(*row) for row in read(LIST)]


def add(connection: Connection, term: str, meant: str, *, two_way: bool) -> Synonym:
    """Add a synonym.

    Raises InvalidRequest if a text has no words or if search treats both as equal, and Conflict if a synonym of these
    texts already exists or there are too many synonyms.
    """
    term_key, meant_key, total = execute(connection, KEYS, {"term": term, "meant": meant})[0]
    for field, key in (("term", term_key), ("meant", meant_key)):
        if not key:
            raise InvalidRequest.of_field(field, "must have at least one word")
    if term_key == meant_key:
        message = "the search takes both texts for the same already; leave this synonym out"
        raise InvalidRequest.of_field("meant", message)
    if total >= MAX_SYNONYMS:
        raise Conflict(f"There are {total} synonyms, the most that a shop can have; delete some first.")
    rows = execute(connection, ADD, {"term": term, "meant": meant, "two_way": two_way})
    if not rows:
        raise Conflict(f"There is a synonym of {term!r} for {meant!r}; delete it with DELETE /admin/synonyms/{{id}}.")
    return Synonym(*rows[0])


def delete(connection: Connection, synonym_id: int) -> Synonym:
    """Delete a synonym and return it. Raises NotFound."""
    rows = execute(connection, DELETE, {"id": synonym_id})
    if not rows:
        raise NotFound(f"There is no synonym {synonym_id}; GET /admin/synonyms lists them.")
    return Synonym(*rows[0])
