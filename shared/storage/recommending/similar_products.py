"""Similar products: the active model's neighbours, mixed with those whose descriptions are alike.

A trigger computes embeddings when products are written (migration 0003), so that a product added a moment ago has
neighbours, whatever added it.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from shared.clients import postgres
from shared.clients.postgres import Connection, execute
from shared.domain.content import EVIDENCE_PRIOR, LEAST_CONTENT
from shared.storage.recommending.attribution import LOGGED, LoggedAnswer

REFRESH: Final = "SELECT refresh_content(cast(:product_ids AS bigint[]))"

# The index returns about 40 content neighbours (hnsw.ef_search). Trending products of the category fill up the rest.
_SIMILAR: Final = """
WITH target AS MATERIALIZED (SELECT id, category_id FROM products WHERE id = :product_id AND is_active),
known AS MATERIALIZED (
    SELECT s.neighbours, s.scores, (SELECT coalesce(sum(c), 0) FROM unnest(s.co_occurrence) AS c) AS evidence
    FROM item_similarity s
    WHERE s.version = (SELECT version FROM models WHERE active) AND s.product_id = (SELECT id FROM target)
), alike AS MATERIALIZED (
    SELECT c.product_id AS id,
           1 - (c.embedding <=> (SELECT embedding FROM product_content
                                 WHERE product_id = (SELECT id FROM target))) AS score
    FROM product_content c
    ORDER BY c.embedding <=> (SELECT embedding FROM product_content WHERE product_id = (SELECT id FROM target))
    LIMIT cast(:k AS integer) + 20
), chosen AS (
    SELECT n.id, n.score::float8 AS score, 0 AS tier FROM known, unnest(known.neighbours, known.scores) AS n(id, score)
    UNION ALL
    -- shared/domain/content.py has the formula
    SELECT id, score * cast(:prior AS float8) / (cast(:prior AS float8) + coalesce((SELECT evidence FROM known), 0)), 0
    FROM alike WHERE score >= cast(:least AS float8)
    UNION ALL
    (SELECT t.product_id, 0, 1 FROM trending_scores t JOIN products p ON p.id = t.product_id, target
     WHERE t.time_window = '30d' AND p.category_id = target.category_id AND p.is_active
     ORDER BY t.score DESC LIMIT cast(:k AS integer) + 1)
), merged AS (
    SELECT id, max(score) AS score, min(tier) AS tier FROM chosen
    WHERE id NOT IN (SELECT id FROM target) AND id NOT IN (SELECT excluded_by_rules()) AND EXISTS (SELECT FROM target)
    GROUP BY id
), best AS MATERIALIZED (
    SELECT m.id, m.score, p, row_number() OVER (ORDER BY m.tier, m.score DESC, t.score DESC NULLS LAST, m.id) AS place
    FROM merged m JOIN products p ON p.id = m.id
    LEFT JOIN trending_scores t ON t.time_window = '30d' AND t.product_id = m.id
    WHERE p.is_active ORDER BY place LIMIT :k
){logged}
SELECT product_json(b.p, c.name, s)::text, b.score
FROM best b LEFT JOIN categories c ON c.id = (b.p).category_id LEFT JOIN product_stats s ON s.product_id = b.id
ORDER BY b.place
"""
SIMILAR: Final = _SIMILAR.replace("{logged}", "")
# the model's version is read by the statement itself, as its neighbours are
SIMILAR_LOGGED: Final = _SIMILAR.replace(
    "{logged}",
    ", "
    + LOGGED.format(ids="ARRAY(SELECT id FROM best ORDER BY place)").replace(
        "cast(:log_version AS integer)", "(SELECT version FROM models WHERE active)"
    ),
)


def similar(product_id: int, k: int, log: LoggedAnswer | None = None) -> list[tuple[dict[str, Any], float]]:
    """Return ``(product, score in [0, 1])`` of the most similar products, best first.

    With ``log``, the same statement logs the answer.
    """
    parameters: dict[str, Any] = {"product_id": product_id, "k": k, "prior": EVIDENCE_PRIOR, "least": LEAST_CONTENT}
    if log is None:
        rows = postgres.run_prepared(SIMILAR, **parameters)
    else:
        logged = {name: value for name, value in log.parameters().items() if name != "log_version"}
        rows = postgres.run_prepared(SIMILAR_LOGGED, **parameters, **logged)
    return [(orjson.loads(row[0]), float(row[1])) for row in rows]


def refresh(connection: Connection, product_ids: Sequence[int] | None) -> int:
    """Recompute the embeddings of these products and return how many changed.

    None means all products; the words of the vocabulary are then counted again. Takes the vocabulary's lock: call it
    in a transaction that has locked no product.
    """
    ids = None if product_ids is None else list(product_ids)
    return int(execute(connection, REFRESH, {"product_ids": ids})[0][0])
