"""Pages of products without a text: facets come from counts that are kept, not from reading every product.

docs/decisions/0041-catalog-counts.md
"""

import math
from collections.abc import Sequence
from typing import Any, Final

from shared.clients.postgres import read

_COUNT: Final = """
    SELECT p.category_id, p.band, p.tag, p.n FROM catalog_counts p
    WHERE p.band BETWEEN cast(:first_band AS integer) AND cast(:last_band AS integer){conditions}"""
# bands that a price filter cuts in two are counted product by product
_COUNT_EACH: Final = """
    SELECT p.category_id, price_band(p.price), each.tag, 1
    FROM products p, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(p.tags)) AS each(tag)
    WHERE p.is_active{conditions}{outside}"""
# Products that were bought first, by the index on purchases; the others, only if they are needed, by their ids.
_POPULAR: Final = """bought AS MATERIALIZED (
    SELECT p.id, s.purchase_count AS purchases FROM product_stats s JOIN products p ON p.id = s.product_id
    WHERE p.is_active AND s.purchase_count > 0{conditions}
    ORDER BY s.purchase_count DESC, s.product_id LIMIT cast(:last_place AS bigint)
), others AS (
    SELECT p.id, 0 AS purchases FROM products p
    WHERE p.is_active{conditions} AND (SELECT count(*) FROM bought) < cast(:last_place AS bigint)
      AND NOT EXISTS (SELECT FROM product_stats s WHERE s.product_id = p.id AND s.purchase_count > 0)
    ORDER BY p.id LIMIT cast(:last_place AS bigint)
), chosen AS MATERIALIZED (
    SELECT id, json_build_array(purchases, id) AS key, row_number() OVER () AS position
    FROM (SELECT * FROM (SELECT * FROM bought UNION ALL SELECT * FROM others) AS candidates
          ORDER BY purchases DESC, id
          LIMIT cast(:page_size AS bigint) + 1 OFFSET cast(:skipped AS bigint)) AS ordered
)"""
_SORTED: Final = """chosen AS MATERIALIZED (
    SELECT id, key, row_number() OVER () AS position
    FROM (SELECT p.id, json_build_array({key}) AS key FROM products p WHERE p.is_active{conditions} ORDER BY {order}
          LIMIT cast(:page_size AS bigint) + 1 OFFSET cast(:skipped AS bigint)) AS ordered
)"""
_ORDERS: Final = {
    "newest": "p.created_at DESC, p.id DESC",
    "price_asc": "p.price, p.id",
    "price_desc": "p.price DESC, p.id",
}

# of a cursor after a product
_KEYS: Final = {"newest": "p.created_at, p.id", "price_asc": "p.price, p.id", "price_desc": "p.price, p.id"}

# Only fixed fragments of this package replace the names in braces; values are always parameters.
_BROWSE: Final = """
WITH {subtrees}counted AS MATERIALIZED ({counts}
), {page}
SELECT (SELECT coalesce(sum(n), 0)::bigint FROM counted WHERE tag IS NULL) AS total,
    coalesce((SELECT json_agg(product_json(p, c, s) ORDER BY chosen.position)
        FROM chosen JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
        LEFT JOIN product_stats s ON s.product_id = p.id
        WHERE chosen.position <= cast(:page_size AS bigint)), '[]')::text AS products,
    json_build_object(
        'categories', coalesce((
            SELECT json_agg(json_build_object('id', c.id, 'name', c.leaf, 'path', c.path, 'count', k.products)
                            ORDER BY k.products DESC, c.path)
            FROM (SELECT category_id, sum(n)::bigint AS products FROM counted WHERE tag IS NULL
                  GROUP BY 1 HAVING sum(n) > 0) AS k
            JOIN categories c ON c.id = k.category_id), '[]'),
        'price_bands', coalesce((SELECT json_agg(json_build_object(
                'min', (cast(:band_starts AS numeric[]))[k.band],
                'max', (cast(:band_starts AS numeric[]))[k.band + 1] - 0.01, 'count', k.products) ORDER BY k.band)
            FROM (SELECT band, sum(n)::bigint AS products FROM counted WHERE tag IS NULL
                  GROUP BY 1 HAVING sum(n) > 0) AS k), '[]'),
        'tags', coalesce((SELECT json_agg(json_build_object('tag', k.tag, 'count', k.products)
                                          ORDER BY k.products DESC, k.tag)
            FROM (SELECT tag, sum(n)::bigint AS products FROM counted WHERE tag IS NOT NULL
                  GROUP BY 1 HAVING sum(n) > 0 ORDER BY products DESC, tag
                  LIMIT cast(:tag_facets AS integer)) AS k), '[]')
    )::text AS facets,
    (SELECT key::text FROM chosen WHERE position = cast(:page_size AS bigint)
         AND EXISTS (SELECT FROM chosen WHERE position > cast(:page_size AS bigint))) AS next"""
_CENT: Final = 0.01
# Counts are of products in their primary category. Variants are counted together, and further categories as well, by
# reading the products.
_EXCEPTIONS: Final = """
SELECT EXISTS (SELECT FROM products WHERE item_group_id IS NOT NULL),
       EXISTS (SELECT FROM products WHERE further_category_ids <> '{}')"""


def counts_suffice(*, shows_all: bool) -> bool:
    """Return whether the catalog's pages and facets can come from the counts; ``shows_all``: each variant by itself."""
    has_groups, has_further = read(_EXCEPTIONS)[0]
    return not has_further and (shows_all or not has_groups)


def whole_bands(starts: Sequence[float], min_price: float | None, max_price: float | None) -> tuple[int, int]:
    """Return the first and the last band, from 1, that a price filter leaves whole; the last is less if none is."""
    low, high = min_price or 0.0, math.inf if max_price is None else max_price
    ends = [*(start - _CENT for start in starts[1:]), math.inf]
    whole = [
        band for band, (start, end) in enumerate(zip(starts, ends, strict=True), 1) if low <= start and end <= high
    ]
    return (whole[0], whole[-1]) if whole else (1, 0)


def statement(
    sort: str,
    subtrees: str,
    price_conditions: Sequence[str],
    conditions: Sequence[tuple[str, str]],
    starts: Sequence[float],
    bounds: tuple[float | None, float | None],
) -> tuple[str, dict[str, Any]]:
    """Return the statement of a page, and its parameters beside those of the filters and of the page.

    ``conditions`` : for each filter but those of the price, its condition on a product and on a row of the counts.
    ``starts`` : lower ends of the price bands.  ``bounds`` : lowest and highest price, None for no bound.
    """
    first, last = whole_bands(starts, *bounds)
    parameters: dict[str, Any] = {"first_band": first, "last_band": last}
    on_products = "".join(f" AND {condition}" for condition in (*price_conditions, *(pair[0] for pair in conditions)))
    counts = _COUNT.format(conditions="".join(f" AND {pair[1]}" for pair in conditions))
    if (first, last) != (1, len(starts)):
        outside = ""
        if first <= last:
            edges = ["p.price < cast(cast(:whole_from AS float8) AS numeric)"]
            parameters["whole_from"] = starts[first - 1]
            if last < len(starts):
                edges.append("p.price >= cast(cast(:whole_until AS float8) AS numeric)")
                parameters["whole_until"] = starts[last]
            outside = f" AND ({' OR '.join(edges)})"
        counts += "\n    UNION ALL" + _COUNT_EACH.format(conditions=on_products, outside=outside)
    if sort in _ORDERS:
        page = _SORTED.format(conditions=on_products, order=_ORDERS[sort], key=_KEYS[sort])
    else:
        page = _POPULAR.format(conditions=on_products)
    return _BROWSE.format(subtrees=subtrees, counts=counts, page=page), parameters
