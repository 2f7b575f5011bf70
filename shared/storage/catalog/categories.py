"""Categories, with the number of products in each."""

from typing import Final

from shared.clients.postgres import read

# The categories that :category names: by path, or all with that name, ignoring case.
NAMED: Final = "lower(path) = lower(cast(:category AS text)) OR lower(leaf) = lower(cast(:category AS text))"
# A common table expression, after WITH RECURSIVE: the category :category_id, or the categories that :category names,
# with the categories below them.
SUBTREE: Final = f"""subtree AS (
    SELECT id FROM categories WHERE id = cast(:category_id AS bigint) OR {NAMED}
    UNION SELECT c.id FROM categories c JOIN subtree s ON c.parent_id = s.id
)"""


def in_subtree(alias: str, subtree: str = "subtree") -> str:
    """Return the condition that a product is in the subtree by its main category or a further one."""
    ids = f"SELECT id FROM {subtree}"
    return f"({alias}.category_id IN ({ids}) OR {alias}.further_category_ids && ARRAY({ids}))"


def in_requested(alias: str) -> str:
    """Return the condition that a product is in SUBTREE, or that the request names no category."""
    return f"(cast(:category_id AS bigint) IS NULL AND cast(:category AS text) IS NULL OR {in_subtree(alias)})"


# Active products in each category and the categories below it. CYCLE ends the recursion if a category is its own
# ancestor.
LIST: Final = """
WITH RECURSIVE ancestors AS (
    SELECT id AS category_id, id, parent_id FROM categories
    UNION ALL
    SELECT a.category_id, c.id, c.parent_id FROM ancestors a JOIN categories c ON c.id = a.parent_id
) CYCLE id SET looped USING path, counts AS (
    SELECT category_id, count(*) AS products FROM products WHERE is_active AND category_id IS NOT NULL GROUP BY 1
), further AS (
    -- products that are in a category, or below it, by a further category alone; the index finds the few that have any
    SELECT f.id, count(DISTINCT p.id) AS products
    FROM products p, unnest(p.further_category_ids) AS further_id
    JOIN ancestors f ON f.category_id = further_id
    WHERE p.is_active AND p.further_category_ids && ARRAY(SELECT id FROM categories) AND NOT f.looped
      AND NOT EXISTS (SELECT FROM ancestors own WHERE own.category_id = p.category_id AND own.id = f.id)
    GROUP BY 1
), totals AS (
    SELECT id, sum(products) AS products
    FROM (SELECT ancestors.id, products FROM ancestors JOIN counts USING (category_id) WHERE NOT looped
          UNION ALL SELECT id, products FROM further) AS parts
    GROUP BY 1
)
SELECT coalesce(json_agg(json_build_object('id', c.id, 'name', c.leaf, 'path', c.path, 'parent_id', c.parent_id,
                                           'product_count', coalesce(products, 0)) ORDER BY c.leaf, c.path), '[]')::text
FROM categories c LEFT JOIN totals USING (id)"""


def list_categories() -> bytes:
    """Return all categories as JSON, ordered by name; each count includes the categories below."""
    return str(read(LIST)[0][0]).encode()
