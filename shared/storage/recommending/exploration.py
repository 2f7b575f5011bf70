"""New products whose descriptions are similar to those in a user's profile."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.clients import postgres
from shared.domain.category_references import CategoryReference
from shared.domain.content import LEAST_CONTENT, PROFILE_PRODUCTS
from shared.domain.product_references import ProductReference
from shared.storage.catalog.categories import SUBTREE, in_requested
from shared.storage.catalog.variants import GROUP_KEY

# How many of the shop's newest products are compared with the profile.
NEW_PRODUCTS: Final = 500

NEAREST_NEW: Final = f"""
WITH RECURSIVE {SUBTREE}, mine AS MATERIALIZED (
    SELECT q.weight, c.embedding
    FROM unnest(cast(:profile AS bigint[]), cast(:weights AS float8[])) AS q(product_id, weight)
    JOIN product_content c USING (product_id) ORDER BY q.weight DESC LIMIT {PROFILE_PRODUCTS}
), known AS MATERIALIZED (
    SELECT id, item_group_id FROM products
    WHERE id = ANY (cast(:exclude AS bigint[])) OR id = ANY (cast(:profile AS bigint[]))
       OR external_id = ANY (cast(:exclude_external AS text[]))
), fresh AS MATERIALIZED (
    SELECT p.id, p.item_group_id, c.embedding FROM products p JOIN product_content c ON c.product_id = p.id
    WHERE p.is_active AND p.created_at > now() - make_interval(days => :days)
      AND (p.quantity > 0 OR NOT :in_stock) AND p.id NOT IN (SELECT id FROM known) AND p.id NOT IN (
          SELECT excluded_by_rules((SELECT id FROM users WHERE external_id = :user_id)))
      AND (p.item_group_id IS NULL OR p.item_group_id NOT IN (
          SELECT k.item_group_id FROM known k WHERE k.item_group_id IS NOT NULL))
      AND {in_requested("p")}
    ORDER BY p.created_at DESC, p.id DESC LIMIT {NEW_PRODUCTS}
)
SELECT id, item_group_id FROM (
    SELECT *, row_number() OVER (PARTITION BY {GROUP_KEY.format(alias="scored")}
                                 ORDER BY score DESC, id) AS variant
    FROM (SELECT fresh.id, item_group_id, max(mine.weight * (1 - (fresh.embedding <=> mine.embedding))) AS score
          FROM fresh, mine WHERE 1 - (fresh.embedding <=> mine.embedding) >= :least GROUP BY 1, 2) AS scored
) AS of_variants
WHERE variant = 1 ORDER BY score DESC, id LIMIT :n
"""


def nearest_new(
    user_id: str,
    profile: Sequence[tuple[int, float, str]],
    n: int,
    *,
    days: int,
    category: CategoryReference,
    exclude: Sequence[ProductReference],
    in_stock: bool,
    run: Callable[..., Sequence[Sequence[Any]]] = postgres.run_prepared,
) -> list[tuple[int, str | None]]:
    """Return ``(id, variant group)`` of up to ``n`` products newer than ``days`` days, the most similar first.

    ``profile`` contains ``(product_id, weight, event type)``; if it is empty, so is the result. ``run`` runs the
    statement.
    """
    if not profile or n < 1:
        return []
    rows = run(
        NEAREST_NEW,
        user_id=user_id,
        profile=[product_id for product_id, _weight, _event_type in profile],
        weights=[weight for _product_id, weight, _event_type in profile],
        days=days,
        **category._asdict(),
        exclude=[reference.product_id for reference in exclude if reference.product_id is not None],
        exclude_external=[reference.external_id for reference in exclude if reference.external_id is not None],
        in_stock=in_stock,
        least=LEAST_CONTENT,
        n=n,
    )
    return [(int(row[0]), row[1]) for row in rows]
