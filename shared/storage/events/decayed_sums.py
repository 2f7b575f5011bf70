"""A user's decayed sums by category, brand, tag and price: SQL fragments, explained in shared/domain/preferences.py."""

from typing import Final

from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS

# The share of a decayed sum that remains after the time between two instants: `decay` of shared/domain/preferences.py.
DECAY: Final = (
    "power(2::float8, -least(abs(extract(epoch FROM {later} - {earlier})::float8)"
    f" / {HALF_LIFE.total_seconds()}, {MAX_HALVINGS}))"
)
# A FROM item: what a row with a product's columns adds to a user's preferences.
FACETS: Final = """LATERAL (
        SELECT 'category' AS kind, {product}.category_id::text AS key WHERE {product}.category_id IS NOT NULL
        UNION ALL SELECT 'brand', {product}.brand WHERE {product}.brand IS NOT NULL
        UNION ALL SELECT 'tag', tag FROM unnest({product}.tags) AS tag
    ) AS facet"""


def fold(table: str, column: str) -> str:
    """Return the assignment that merges EXCLUDED into a stored decayed sum, as shared/domain/preferences.py does."""
    newer = DECAY.format(later="EXCLUDED.as_of", earlier=f"{table}.as_of")
    return f"""{column} = CASE WHEN EXCLUDED.as_of >= {table}.as_of
        THEN {table}.{column} * {newer} + EXCLUDED.{column}
        ELSE {table}.{column} + EXCLUDED.{column} * {newer} END"""
