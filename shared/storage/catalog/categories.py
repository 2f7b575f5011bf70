"""Categories, with the number of products in each."""

from typing import Final

from shared.clients.postgres import read

# A common table expression, after WITH RECURSIVE: the category :category_id and the categories below it.
SUBTREE: Final = """subtree AS (
    SELECT id FROM categories WHERE id = cast(:category_id AS bigint)
    UNION SELECT c.id FROM categories c JOIN subtree s ON c.parent_id = s.id
)"""

# Active products of each category and of the categories below it. CYCLE ends the recursion if a category is its own
# ancestor.
LIST: Final = """
WITH RECURSIVE ancestors AS (
    SELECT id AS category_id, id, parent_id FROM categories
    UNION ALL
    SELECT a.category_id, c.id, c.parent_id FROM ancestors a JOIN categories c ON c.id = a.parent_id
) CYCLE id SET looped USING path, counts AS (
    SELECT category_id, count(*) AS products FROM products WHERE is_active AND category_id IS NOT NULL GROUP BY 1
), totals AS (
    SELECT ancestors.id, sum(products) AS products FROM ancestors JOIN counts USING (category_id)
    WHERE NOT looped GROUP BY 1
)
SELECT coalesce(json_agg(json_build_object('id', c.id, 'name', c.name, 'parent_id', c.parent_id,
                                           'product_count', coalesce(products, 0)) ORDER BY c.name), '[]')::text
FROM categories c LEFT JOIN totals USING (id)"""


def list_categories() -> bytes:
    """Return all categories as JSON, by name; a category's count includes the categories below it."""
    return str(read(LIST)[0][0]).encode()
