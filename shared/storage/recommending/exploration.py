"""New products whose descriptions are like those of a user's profile."""

from collections.abc import Sequence
from typing import Final

from shared.clients import postgres
from shared.domain.content import LEAST_CONTENT
from shared.storage.catalog.categories import SUBTREE

# the heaviest products of the profile are compared with the newest products of the shop
PROFILE_PRODUCTS: Final = 20
NEW_PRODUCTS: Final = 500

NEAREST_NEW: Final = f"""
WITH RECURSIVE {SUBTREE}, mine AS MATERIALIZED (
    SELECT q.weight, c.embedding
    FROM unnest(cast(:profile AS bigint[]), cast(:weights AS float8[])) AS q(product_id, weight)
    JOIN product_content c USING (product_id) ORDER BY q.weight DESC LIMIT {PROFILE_PRODUCTS}
), fresh AS MATERIALIZED (
    SELECT p.id, c.embedding FROM products p JOIN product_content c ON c.product_id = p.id
    WHERE p.is_active AND p.created_at > now() - make_interval(days => :days)
      AND (p.quantity > 0 OR NOT :in_stock) AND p.id <> ALL (cast(:exclude AS bigint[]))
      AND p.id <> ALL (cast(:profile AS bigint[])) AND p.id NOT IN (
          SELECT excluded_by_rules((SELECT id FROM users WHERE external_id = :user_id)))
      AND (cast(:category_id AS bigint) IS NULL OR p.category_id IN (SELECT id FROM subtree))
    ORDER BY p.created_at DESC, p.id DESC LIMIT {NEW_PRODUCTS}
)
SELECT fresh.id FROM fresh, mine
WHERE 1 - (fresh.embedding <=> mine.embedding) >= :least
GROUP BY fresh.id ORDER BY max(mine.weight * (1 - (fresh.embedding <=> mine.embedding))) DESC, fresh.id LIMIT :n
"""


def nearest_new(
    user_id: str,
    profile: Sequence[tuple[int, float, str]],
    n: int,
    *,
    days: int,
    category_id: int | None,
    exclude: Sequence[int],
    in_stock: bool,
) -> list[int]:
    """Return up to ``n`` ids of products younger than ``days``, those most like the profile first.

    ``profile`` holds ``(product_id, weight, event type)``; if it is empty, so is the result.
    """
    if not profile or n < 1:
        return []
    rows = postgres.run_prepared(
        NEAREST_NEW,
        user_id=user_id,
        profile=[product_id for product_id, _weight, _event_type in profile],
        weights=[weight for _product_id, weight, _event_type in profile],
        days=days,
        category_id=category_id,
        exclude=list(exclude),
        in_stock=in_stock,
        least=LEAST_CONTENT,
        n=n,
    )
    return [row[0] for row in rows]
