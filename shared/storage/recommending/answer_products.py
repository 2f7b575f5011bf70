"""The products of a personal recommendation list. The statement that reads them also logs the list."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.content import CLEAR_CONTENT, PROFILE_PRODUCTS
from shared.storage.recommending.attribution import LOGGED_IDS, LOGGED_MANY, LoggedAnswer
from shared.storage.recommending.candidates import CandidateSet

READ: Final = f"""
WITH {LOGGED_IDS}
SELECT product_json(p, c, s)::text
FROM unnest(cast(:ids AS bigint[])) WITH ORDINALITY AS wanted(id, place)
JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.is_active ORDER BY place
"""

# Like READ, with the profile product that contributes most to each: weight times similarity. If the model has no
# neighbours for any product in the profile, similarity is by content, as for the candidates, and no users are counted.
READ_WITH_SOURCES: Final = f"""
WITH {LOGGED_IDS},
wanted AS MATERIALIZED (SELECT * FROM unnest(cast(:ids AS bigint[])) WITH ORDINALITY AS w(id, place)),
profile AS MATERIALIZED (
    SELECT * FROM unnest(cast(:profile AS bigint[]), cast(:weights AS float8[]), cast(:kinds AS text[]))
        AS q(product_id, weight, kind)
), modelled AS MATERIALIZED (
    SELECT profile.*, s.neighbours, s.scores, s.co_occurrence
    FROM profile JOIN item_similarity s ON s.version = :version AND s.product_id = profile.product_id
), strongest AS MATERIALIZED (
    SELECT DISTINCT ON (b.id) b.id, b.product_id AS source_id, b.kind, b.common
    FROM (SELECT n.id, m.product_id, m.kind, m.weight * n.score AS strength, n.common
          FROM modelled m, unnest(m.neighbours, m.scores, m.co_occurrence) AS n(id, score, common)
          WHERE n.id IN (SELECT id FROM wanted)
          UNION ALL
          SELECT c.product_id, own.product_id, q.kind, q.weight * (1 - (c.embedding <=> own.embedding)), NULL
          FROM (SELECT * FROM profile ORDER BY weight DESC, product_id LIMIT {PROFILE_PRODUCTS}) AS q
          JOIN product_content own ON own.product_id = q.product_id
          JOIN product_content c ON c.product_id IN (SELECT id FROM wanted) AND c.product_id <> q.product_id
          WHERE NOT EXISTS (SELECT FROM modelled) AND 1 - (c.embedding <=> own.embedding) >= {CLEAR_CONTENT}) AS b
    ORDER BY b.id, b.strength DESC, b.product_id
), because AS (
    -- joined last: the planner takes the candidates for so many that it would read the names of all products
    SELECT b.*, source.name FROM strongest b JOIN products source ON source.id = b.source_id
)
SELECT product_json(p, c, s)::text, b.source_id, b.name, b.kind, b.common
FROM wanted JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
LEFT JOIN product_stats s ON s.product_id = p.id LEFT JOIN because b ON b.id = p.id
WHERE p.is_active ORDER BY place
"""

# The distinct products of many answers.
READ_MANY: Final = f"""
WITH {LOGGED_MANY}
SELECT p.id, product_json(p, c, s)::text
FROM products p LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.id = ANY (cast(:ids AS bigint[])) AND p.is_active
"""

EXTERNAL_IDS: Final = "SELECT id, external_id FROM products WHERE id = ANY (cast(:ids AS bigint[]))"
SOLD_OUT: Final = "SELECT id FROM products WHERE is_active AND quantity <= 0"


class Source(NamedTuple):
    """The product of a user's profile to which a recommended product is most similar.

    co_occurrence : the number of users, or sessions, with both products; None if they are similar by content.
    """

    product_id: int
    name: str
    event_type: str
    co_occurrence: int | None


def read(ids: list[int], log: LoggedAnswer) -> list[dict[str, Any]]:
    """Return the active ones of these products in the given order, and log the answer."""
    return [orjson.loads(row[0]) for row in postgres.run_prepared(READ, ids=ids, **log.parameters())]


def read_many(answers: Sequence[tuple[LoggedAnswer, list[int]]]) -> dict[int, dict[str, Any]]:
    """Return the active products of the answers by id, and log the answers with their product ids."""
    logged = [
        {
            "id": log.id,
            "user_id": log.user_id,
            "kind": log.kind,
            "strategy": log.strategy,
            "version": log.model_version,
            "ids": ids,
        }
        for log, ids in answers
    ]
    wanted = sorted({product_id for _log, ids in answers for product_id in ids})
    rows = postgres.run_prepared(READ_MANY, answers=orjson.dumps(logged).decode(), ids=wanted)
    return {int(product_id): orjson.loads(product) for product_id, product in rows}


def read_with_sources(
    ids: list[int], log: LoggedAnswer, found: CandidateSet
) -> list[tuple[dict[str, Any], Source | None]]:
    """Do the same as ``read``, with each product's source, or None if no product in the profile is similar to it."""
    rows = postgres.run_prepared(
        READ_WITH_SOURCES,
        ids=ids,
        version=found.version,
        profile=[product_id for product_id, _weight, _event_type in found.profile],
        weights=[weight for _product_id, weight, _event_type in found.profile],
        kinds=[event_type for _product_id, _weight, event_type in found.profile],
        **log.parameters(),
    )
    return [
        (orjson.loads(product), None if source_id is None else Source(source_id, name, event_type, co_occurrence))
        for product, source_id, name, event_type, co_occurrence in rows
    ]


def external_ids(ids: Collection[int]) -> dict[int, str]:
    """Return the shop's own ids of these products, by Aisle's id."""
    return {int(row[0]): row[1] for row in postgres.read(EXTERNAL_IDS, ids=sorted(ids))}


def sold_out() -> set[int]:
    """Return the ids of the active products that are sold out."""
    return {int(row[0]) for row in postgres.read(SOLD_OUT)}
