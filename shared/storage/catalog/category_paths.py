"""Find or create, by path, the categories named in rows to be written.

The statements work on the table ``catalog_rows`` of bulk_writes.py: they resolve its columns ``category`` and
``further_categories`` to ``category_id`` and ``further_category_ids``.
docs/decisions/0039-category-paths.md has the rules.
"""

from typing import Final

from shared.clients.postgres import Connection, execute
from shared.domain.category_references import CATEGORY_SEPARATOR

SEPARATOR: Final = f" {CATEGORY_SEPARATOR} "

# Resolves each name. A path means itself. A single name means the top-level category of that name, or else the only
# subcategory of that name; if there is neither, a top-level category is created. `choices` lists the candidates if
# several subcategories have the name.
STAGE: Final = """
CREATE TEMP TABLE IF NOT EXISTS catalog_names (
    name text PRIMARY KEY, path text, choices text[] NOT NULL
) ON COMMIT DROP"""
NAMES: Final = """
INSERT INTO catalog_names (name, path, choices)
SELECT n.name, CASE cardinality(n.choices) WHEN 0 THEN n.name WHEN 1 THEN n.choices[1] END, n.choices
FROM (
    SELECT name, CASE WHEN strpos(name, :separator) > 0 OR EXISTS (SELECT FROM categories c WHERE c.path = named.name)
                      THEN '{}'::text[]
                      ELSE ARRAY(SELECT c.path FROM categories c
                                 WHERE lower(c.leaf) = lower(named.name) AND c.leaf = named.name ORDER BY c.path)
                 END AS choices
    FROM (SELECT category AS name FROM catalog_rows WHERE category IS NOT NULL
          UNION SELECT unnest(further_categories) FROM catalog_rows) AS named
) AS n"""
# A product that is already in one of several categories of the same name stays there.
PRIMARY: Final = """
UPDATE catalog_rows r SET category = coalesce(n.path, (
    SELECT c.path FROM products p JOIN categories c ON c.id = p.category_id
    WHERE p.external_id = r.external_id AND c.path = ANY (n.choices)))
FROM catalog_names n WHERE n.name = r.category AND n.path IS DISTINCT FROM r.category
RETURNING r.position, CASE WHEN r.category IS NULL THEN n.name END, n.choices"""
AMBIGUOUS_FURTHER: Final = """
SELECT r.position, n.name, n.choices
FROM catalog_rows r, unnest(r.further_categories) AS further(name) JOIN catalog_names n USING (name)
WHERE n.path IS NULL"""
FURTHER: Final = """
UPDATE catalog_rows r SET further_categories = ARRAY(
    SELECT n.path FROM unnest(r.further_categories) WITH ORDINALITY AS further(name, place)
    JOIN catalog_names n USING (name) ORDER BY place)
WHERE r.further_categories <> '{}'"""
REFUSE: Final = "DELETE FROM catalog_rows WHERE position = ANY (cast(:positions AS integer[]))"
# Creates the missing categories of one level. The column `name` is unique: {name} is first the leaf, then the path for
# categories whose leaf is already taken.
CREATE: Final = """
WITH wanted AS (
    SELECT DISTINCT names[{level}] AS leaf,
           array_to_string(names[1:{level}], :separator) AS path,
           array_to_string(names[1:{level} - 1], :separator) AS parent
    FROM (SELECT string_to_array(path, :separator) AS names
          FROM (SELECT category AS path FROM catalog_rows WHERE category IS NOT NULL
                UNION SELECT unnest(further_categories) FROM catalog_rows) AS paths) AS split
    WHERE cardinality(names) >= {level}
)
INSERT INTO categories (name, leaf, parent_id)
SELECT w.{name}, w.leaf, p.id FROM wanted w LEFT JOIN categories p ON p.path = w.parent
WHERE NOT EXISTS (SELECT FROM categories c WHERE c.path = w.path)
ORDER BY w.path
ON CONFLICT DO NOTHING"""
RESOLVE: Final = """
UPDATE catalog_rows r SET
    category_id = CASE WHEN r.category IS NULL THEN r.category_id
                       ELSE (SELECT c.id FROM categories c WHERE c.path = r.category) END,
    further_category_ids = ARRAY(
        SELECT c.id FROM unnest(r.further_categories) WITH ORDINALITY AS further(path, place)
        JOIN categories c USING (path) ORDER BY place)
WHERE r.category IS NOT NULL OR r.further_categories <> '{}'"""


def resolve(connection: Connection, depth: int) -> list[tuple[int, str, str]]:
    """Set the category ids of the rows, creating new categories down to ``depth`` levels.

    Returns ``(position, field, message)`` of the rows removed because several categories have the name.
    """
    execute(connection, STAGE)
    execute(connection, "TRUNCATE catalog_names")
    execute(connection, NAMES, {"separator": SEPARATOR})
    refused = [
        (int(position), "category", _ambiguous(name, choices))
        for position, name, choices in execute(connection, PRIMARY)
        if name is not None
    ]
    refused += [
        (int(position), "further_categories", _ambiguous(name, choices))
        for position, name, choices in execute(connection, AMBIGUOUS_FURTHER)
    ]
    if refused:
        execute(connection, REFUSE, {"positions": sorted({position for position, _field, _message in refused})})
    execute(connection, FURTHER)
    for level in range(1, depth + 1):
        for name in ("leaf", "path"):
            execute(connection, CREATE.format(name=name, level=level), {"separator": SEPARATOR})
    execute(connection, RESOLVE)
    return refused


def _ambiguous(name: str, choices: list[str]) -> str:
    return f"{name!r} names {len(choices)} categories; write one of their paths: {', '.join(choices[:5])}"
