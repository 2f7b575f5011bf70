"""What the recommendations function reads besides candidates: products to show, and kinds that need no ranking."""

from typing import Any, Final

import orjson

from shared.clients import postgres
from shared.storage.recommending.attribution import LOGGED_IDS, Logged
from shared.storage.recommending.candidates import CandidateSet

SHOWN: Final = f"""
WITH {LOGGED_IDS}
SELECT product_json(p, c.name, s)::text
FROM unnest(cast(:ids AS bigint[])) WITH ORDINALITY AS wanted(id, place)
JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.is_active ORDER BY place
"""

# as SHOWN, with the profile's product that speaks most for each: sum over one neighbour is its weight times similarity
SHOWN_WITH_REASON: Final = f"""
WITH {LOGGED_IDS},
wanted AS MATERIALIZED (SELECT * FROM unnest(cast(:ids AS bigint[])) WITH ORDINALITY AS w(id, place)),
because AS (
    SELECT DISTINCT ON (n.id) n.id, source.name, source.id AS source_id, q.kind
    FROM unnest(cast(:profile AS bigint[]), cast(:weights AS float8[]), cast(:kinds AS text[]))
        AS q(product_id, weight, kind)
    JOIN item_similarity s ON s.version = :version AND s.product_id = q.product_id
    JOIN products source ON source.id = q.product_id,
    unnest(s.neighbours, s.scores) AS n(id, score)
    WHERE n.id IN (SELECT id FROM wanted) ORDER BY n.id, q.weight * n.score DESC, source.id
)
SELECT product_json(p, c.name, s)::text, b.source_id, b.name, b.kind
FROM wanted JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
LEFT JOIN product_stats s ON s.product_id = p.id LEFT JOIN because b ON b.id = p.id
WHERE p.is_active ORDER BY place
"""

TRENDING: Final = """
WITH RECURSIVE subtree AS (
    SELECT id FROM categories WHERE id = cast(:category_id AS bigint)
    UNION SELECT c.id FROM categories c JOIN subtree s ON c.parent_id = s.id
)
SELECT product_json(p, c.name, s)::text, t.score, t.event_count
FROM trending_scores t JOIN products p ON p.id = t.product_id
LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE t.time_window = :window AND p.is_active AND p.id NOT IN (SELECT excluded_by_rules())
  AND (cast(:category_id AS bigint) IS NULL OR p.category_id IN (SELECT id FROM subtree))
ORDER BY t.score DESC, p.id LIMIT :k
"""

POPULAR: Final = """
SELECT product_json(p, c.name, s)::text, s.purchase_count
FROM product_stats s JOIN products p ON p.id = s.product_id LEFT JOIN categories c ON c.id = p.category_id
WHERE p.is_active ORDER BY s.purchase_count DESC, s.product_id LIMIT :k
"""

RECENTLY_VIEWED: Final = """
SELECT product_json(p, c.name, s)::text, v.at
FROM (SELECT product_id, max(occurred_at) AS at
      FROM (SELECT product_id, occurred_at FROM events
            WHERE user_id = (SELECT id FROM users WHERE external_id = :user_id) AND event_type = 'view'
            ORDER BY occurred_at DESC LIMIT 500) AS latest
      GROUP BY product_id) AS v
JOIN products p ON p.id = v.product_id
LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.is_active ORDER BY v.at DESC, p.id LIMIT :k
"""

EXISTS: Final = "SELECT 1 FROM products WHERE id = :id AND is_active"
CATEGORY_EXISTS: Final = "SELECT 1 FROM categories WHERE id = :id"


def shown(ids: list[int], log: Logged) -> list[dict[str, Any]]:
    """Return these products, in this order, without those that are gone since, and log the answer."""
    return [orjson.loads(row[0]) for row in postgres.run_prepared(SHOWN, ids=ids, **log.parameters())]


def shown_with_reason(
    ids: list[int], log: Logged, found: CandidateSet
) -> list[tuple[dict[str, Any], int | None, str | None, str | None]]:
    """Return ``(product, id and name of the profile's product that speaks for it, how that was met)``, and log it."""
    rows = postgres.run_prepared(
        SHOWN_WITH_REASON,
        ids=ids,
        version=found.version,
        profile=[one[0] for one in found.profile],
        weights=[one[1] for one in found.profile],
        kinds=[one[2] for one in found.profile],
        **log.parameters(),
    )
    return [(orjson.loads(row[0]), row[1], row[2], row[3]) for row in rows]


def trending(window: str, category_id: int | None, k: int) -> list[tuple[dict[str, Any], float, int]]:
    """Return ``(product, score, event_count)``, best first."""
    rows = postgres.run_prepared(TRENDING, window=window, category_id=category_id, k=k)
    return [(orjson.loads(row[0]), float(row[1]), int(row[2])) for row in rows]


def popular(k: int) -> list[tuple[dict[str, Any], int]]:
    """Return ``(product, purchase count)``, most bought first."""
    return [(orjson.loads(row[0]), int(row[1])) for row in postgres.run_prepared(POPULAR, k=k)]


def recently_viewed(user_id: str, k: int) -> list[tuple[dict[str, Any], Any]]:
    """Return ``(product, when it was last viewed)``, newest first."""
    return [(orjson.loads(row[0]), row[1]) for row in postgres.run_prepared(RECENTLY_VIEWED, user_id=user_id, k=k)]


def product_exists(product_id: int) -> bool:
    """Whether there is an active product of this id."""
    return postgres.read_one(EXISTS, id=product_id) is not None


def category_exists(category_id: int) -> bool:
    """Whether there is a category of this id."""
    return postgres.read_one(CATEGORY_EXISTS, id=category_id) is not None
