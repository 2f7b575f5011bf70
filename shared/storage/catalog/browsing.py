"""Product pages without a text search: facets come from maintained counts, not from reading every product.

docs/decisions/0041-catalog-counts.md
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.domain import cursors
from shared.domain.shop import PRICE_STEPS, PriceBands

# Each row has the categories and price bands that match the filters.
_COUNT: Final = """
    SELECT p.category_ids, ARRAY[p.price_step] AS bands, p.tag, p.n FROM catalog_counts p
    WHERE p.price_step BETWEEN cast(:first_band AS integer) AND cast(:last_band AS integer){variants}{conditions}"""
# A group counts once if any of its cells matches the filters. Groups that have changed since they were last counted are
# subtracted with their old cells and added with their current ones.
_CHANGED: Final = "ANY (ARRAY(SELECT item_group_id FROM catalog_changed_groups))"
_COUNT_GROUPS: Final = f"""
    UNION ALL
    (WITH g AS MATERIALIZED (
        SELECT tag, cells, n FROM catalog_group_counts
        UNION ALL SELECT c.tag, c.cells, -1 FROM catalog_groups was, group_cells(was.variants) AS c
                  WHERE was.item_group_id = {_CHANGED}
        UNION ALL SELECT c.tag, c.cells, 1 FROM catalog_variants v, group_cells(v.variants) AS c
                  WHERE v.item_group_id = {_CHANGED})
    SELECT fitting.category_ids, fitting.bands, g.tag, g.n
    FROM g, LATERAL (
        SELECT array_agg(DISTINCT category.id) AS category_ids, array_agg(DISTINCT p.price_step) AS bands
        FROM unnest(g.cells) AS p LEFT JOIN LATERAL unnest(p.category_ids) AS category(id) ON true
        WHERE p.price_step BETWEEN cast(:first_band AS integer) AND cast(:last_band AS integer){{conditions}}
        ) AS fitting
    WHERE g.tag IS NULL AND fitting.bands IS NOT NULL
    UNION ALL
    SELECT NULL, NULL, g.tag, g.n FROM g
    WHERE g.tag IS NOT NULL AND EXISTS (
        SELECT FROM unnest(g.cells) AS p
        WHERE p.price_step BETWEEN cast(:first_band AS integer) AND cast(:last_band AS integer){{conditions}}))"""
# Price bands that a price filter covers only in part are counted product by product.
_COUNT_EACH: Final = """
    UNION ALL
    SELECT categories_of(p.category_id, p.further_category_ids), ARRAY[price_step_of(p.price)], each.tag, 1
    FROM products p, LATERAL (SELECT NULL UNION ALL SELECT DISTINCT unnest(p.tags)) AS each(tag)
    WHERE p.is_active{variants}{conditions}{outside}"""
# Groups with a variant in such a band are counted by all their variants; their count from whole bands is subtracted.
_COUNT_EACH_GROUP: Final = """
    UNION ALL
    SELECT array_agg(DISTINCT category.id), array_agg(DISTINCT price_step_of(p.price)), each.tag,
           CASE WHEN counted.already THEN -1 ELSE 1 END
    FROM products p LEFT JOIN LATERAL unnest(categories_of(p.category_id, p.further_category_ids)) AS category(id)
            ON true,
        LATERAL (SELECT NULL UNION ALL SELECT unnest(p.tags)) AS each(tag),
        LATERAL (SELECT false UNION ALL SELECT true) AS counted(already)
    WHERE p.is_active{conditions}
      AND p.item_group_id = ANY (ARRAY(SELECT DISTINCT p.item_group_id FROM products p
                                       WHERE p.is_active AND p.item_group_id IS NOT NULL{conditions}{outside}))
      AND (NOT counted.already
           OR price_step_of(p.price) BETWEEN cast(:first_band AS integer) AND cast(:last_band AS integer))
    GROUP BY p.item_group_id, each.tag, counted.already"""
# Of a group's matching variants the page shows the first by its order, those in stock before the others. As a subquery
# run only for products that reach the page, this costs about one page of index reads.
_SHOWN: Final = """ AND (p.item_group_id IS NULL OR p.id = (
        SELECT v.id FROM (SELECT p.item_group_id AS of_group) AS shown, LATERAL (
            SELECT p.id FROM products p{statistics}
            WHERE p.item_group_id = shown.of_group AND p.is_active{conditions}
            ORDER BY (p.quantity > 0) DESC, {order} LIMIT 1) AS v))"""
# Purchased products first, by the index on purchase counts; then, only if needed, the others by id.
_POPULAR: Final = """{few}bought AS MATERIALIZED (
    SELECT p.id, s.purchase_count AS purchases FROM product_stats s JOIN products p ON p.id = s.product_id
    WHERE p.is_active AND s.purchase_count > 0{conditions}{shown}{after_bought}{unless_few}
    ORDER BY s.purchase_count DESC, s.product_id LIMIT cast(:last_place AS bigint)
), others AS (
    SELECT p.id, 0 AS purchases FROM products p
    WHERE p.is_active{conditions}{shown}{after_others}{unless_few}
      AND (SELECT count(*) FROM bought) < cast(:last_place AS bigint)
      AND NOT EXISTS (SELECT FROM product_stats s WHERE s.product_id = p.id AND s.purchase_count > 0)
    ORDER BY p.id LIMIT cast(:last_place AS bigint)
), chosen AS MATERIALIZED (
    SELECT id, json_build_array(purchases, id) AS key, row_number() OVER () AS position
    FROM (SELECT * FROM (SELECT * FROM bought UNION ALL SELECT * FROM others{or_few}) AS products
          ORDER BY purchases DESC, id
          LIMIT cast(:page_size AS bigint) + 1 OFFSET cast(:skipped AS bigint)) AS ordered
)"""
# Ordered by purchases, products are read until those of the category fill the page: about
# products x places / matches of them. A category with fewer products than that is read completely, by its indexes. The
# planner does not know how small the category is; OFFSET 0 forces a lookup per product.
# The size of the category itself decides: a filter's few matches may lie in a large category, and an index on the
# filtered column finds them. A category has at least as many products as matches, so most pages need not sum them up.
# Places beyond the last match do not make a category small.
_FEW: Final = """size AS MATERIALIZED (
    SELECT matches * matches <= most AND (
        SELECT coalesce(sum(p.n), 0) * coalesce(sum(p.n), 0) FROM catalog_counts p
        WHERE p.tag IS NULL AND p.category_ids && ARRAY(SELECT id FROM {subtree})) <= most AS is_few
    FROM (SELECT coalesce(sum(n), 0) AS matches FROM counted WHERE tag IS NULL) AS of_filters,
        LATERAL (SELECT reltuples * least(cast(:last_place AS bigint), matches + cast(:page_size AS bigint)) AS most
                 FROM pg_class WHERE oid = 'products'::regclass) AS catalog
), of_category AS MATERIALIZED (
    SELECT id FROM products
    WHERE (SELECT is_few FROM size) AND is_active AND category_id = ANY (ARRAY(SELECT id FROM {subtree}))
    UNION
    SELECT id FROM products
    WHERE (SELECT is_few FROM size) AND is_active AND further_category_ids && ARRAY(SELECT id FROM {subtree})
), """
_UNLESS_FEW: Final = " AND NOT (SELECT is_few FROM size)"
_OR_FEW: Final = """
                         UNION ALL
                         SELECT p.id, coalesce(s.purchase_count, 0)
                         FROM of_category
                         CROSS JOIN LATERAL (SELECT * FROM products WHERE id = of_category.id OFFSET 0) AS p
                         LEFT JOIN LATERAL (SELECT purchase_count FROM product_stats
                                            WHERE product_id = p.id OFFSET 0) AS s ON true
                         WHERE p.is_active{conditions}{shown}{after}"""
_SORTED: Final = """chosen AS MATERIALIZED (
    SELECT id, key, row_number() OVER () AS position
    FROM (SELECT p.id, json_build_array({key}) AS key FROM products p WHERE p.is_active{conditions}{shown}{after}
          ORDER BY {order} LIMIT cast(:page_size AS bigint) + 1 OFFSET cast(:skipped AS bigint)) AS ordered
)"""
# The columns of a sort order: the expression, whether it is descending, its type.
_Order = tuple[tuple[str, bool, cursors.KeyType], ...]
_ORDERS: Final[dict[str, _Order]] = {
    "newest": (("p.created_at", True, "timestamptz"), ("p.id", True, "bigint")),
    "price_asc": (("p.price", False, "numeric"), ("p.id", False, "bigint")),
    "price_desc": (("p.price", True, "numeric"), ("p.id", False, "bigint")),
}
_BY_PURCHASES: Final[_Order] = (("coalesce(s.purchase_count, 0)", True, "bigint"), ("p.id", False, "bigint"))

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
            FROM (SELECT category_id, sum(n)::bigint AS products
                  FROM counted, unnest(category_ids) AS each(category_id) WHERE tag IS NULL
                  GROUP BY 1 HAVING sum(n) > 0) AS k
            JOIN categories c ON c.id = k.category_id), '[]'),
        'price_bands', coalesce((SELECT json_agg(json_build_object(
                'min', (cast(:band_starts AS numeric[]))[k.band],
                'max', (cast(:band_ends AS numeric[]))[k.band], 'count', k.products) ORDER BY k.band)
            FROM (SELECT band, sum(n)::bigint AS products
                  FROM counted, unnest(bands) AS each(band) WHERE tag IS NULL
                  GROUP BY 1 HAVING sum(n) > 0) AS k), '[]'),
        'tags', coalesce((SELECT json_agg(json_build_object('tag', k.tag, 'count', k.products)
                                          ORDER BY k.products DESC, k.tag)
            FROM (SELECT tag, sum(n)::bigint AS products FROM counted WHERE tag IS NOT NULL
                  GROUP BY 1 HAVING sum(n) > 0 ORDER BY products DESC, tag
                  LIMIT cast(:tag_facets AS integer)) AS k), '[]')
    )::text AS facets,
    (SELECT key::text FROM chosen WHERE position = cast(:page_size AS bigint)
         AND EXISTS (SELECT FROM chosen WHERE position > cast(:page_size AS bigint))) AS next"""


def whole_bands(bands: PriceBands, min_price: float | None, max_price: float | None) -> tuple[int, int]:
    """Return the first and last price band, from 1, that lie entirely within a price filter; (1, 0) if none does."""
    low, high = min_price or 0.0, math.inf if max_price is None else max_price
    whole = [
        band
        for band, (step, end) in enumerate(zip(PRICE_STEPS, bands.ends, strict=True), 1)
        if low <= step and (math.inf if end is None else end) <= high
    ]
    return (whole[0], whole[-1]) if whole else (1, 0)


def _sql_of(order: _Order) -> str:
    return ", ".join(f"{column} DESC" if descends else column for column, descends, _type in order)


def _page(sort: str, conditions: str, *, subtree: str | None, shows_all: bool, has_cursor: bool) -> str:
    """Return the common table expressions of a page, up to ``chosen``.

    ``subtree`` : name of the common table expression of the category filter's subtree; None without such a filter.
    """
    order = _ORDERS.get(sort, _BY_PURCHASES)
    shown = ""
    if not shows_all:
        statistics = " LEFT JOIN product_stats s ON s.product_id = p.id" if order is _BY_PURCHASES else ""
        shown = _SHOWN.format(statistics=statistics, conditions=conditions, order=_sql_of(order))
    # The first condition is redundant, but lets an index scan start at the cursor.
    if order is _BY_PURCHASES:
        after_bought = after_others = after = ""
        if has_cursor:
            bought: _Order = (("s.purchase_count", True, "bigint"), ("s.product_id", False, "bigint"))
            after_bought = f" AND s.purchase_count <= cast(:after_0 AS bigint) AND {cursors.after(bought)}"
            after_others = " AND (cast(:after_0 AS bigint) > 0 OR p.id > cast(:after_1 AS bigint))"
            after = f" AND {cursors.after(order)}"
        has_category = subtree is not None
        return _POPULAR.format(
            conditions=conditions,
            shown=shown,
            after_bought=after_bought,
            after_others=after_others,
            few=_FEW.format(subtree=subtree) if has_category else "",
            unless_few=_UNLESS_FEW if has_category else "",
            or_few=_OR_FEW.format(conditions=conditions, shown=shown, after=after) if has_category else "",
        )
    after = ""
    if has_cursor:
        column, descends, kind = order[0]
        sign = "<=" if descends else ">="
        after = f" AND {column} {sign} cast(:after_0 AS {kind}) AND {cursors.after(order)}"
    key = ", ".join(column for column, _descends, _type in order)
    return _SORTED.format(key=key, conditions=conditions, shown=shown, after=after, order=_sql_of(order))


def statement(
    sort: str,
    subtrees: Mapping[str, str],
    price_conditions: Sequence[str],
    conditions: Sequence[tuple[str, str]],
    bands: PriceBands,
    bounds: tuple[float | None, float | None],
    *,
    shows_all: bool,
    has_cursor: bool,
) -> tuple[str, dict[str, Any]]:
    """Return the statement of a page, and its parameters other than those of the filters, the cursor and the page.

    ``subtrees`` : common table expressions of the category filters' subtrees, by name.
    ``conditions`` : for each filter except those on the price, its condition on a product and on a row of the counts.
    ``bands`` : the price bands.  ``bounds`` : lowest and highest price, None for no bound.
    ``shows_all`` : list every variant of a group.  ``has_cursor`` : the page begins after ``:after_0`` …
    """
    first, last = whole_bands(bands, *bounds)
    parameters: dict[str, Any] = {"first_band": first, "last_band": last}
    on_products = "".join(f" AND {condition}" for condition in (*price_conditions, *(pair[0] for pair in conditions)))
    on_counts = "".join(f" AND {pair[1]}" for pair in conditions)
    counts = _COUNT.format(variants="" if shows_all else " AND NOT p.is_variant", conditions=on_counts)
    if not shows_all:
        counts += _COUNT_GROUPS.format(conditions=on_counts)
    if (first, last) != (1, len(PRICE_STEPS)):
        outside = ""
        if first <= last:
            edges = ["p.price < cast(cast(:whole_from AS float8) AS numeric)"]
            parameters["whole_from"] = PRICE_STEPS[first - 1]
            if last < len(PRICE_STEPS):
                edges.append("p.price >= cast(cast(:whole_until AS float8) AS numeric)")
                parameters["whole_until"] = PRICE_STEPS[last]
            outside = f" AND ({' OR '.join(edges)})"
        singles = "" if shows_all else " AND p.item_group_id IS NULL"
        counts += _COUNT_EACH.format(variants=singles, conditions=on_products, outside=outside)
        if not shows_all:
            counts += _COUNT_EACH_GROUP.format(conditions=on_products, outside=outside)
    page = _page(sort, on_products, subtree=next(iter(subtrees), None), shows_all=shows_all, has_cursor=has_cursor)
    return _BROWSE.format(subtrees="".join(subtrees.values()), counts=counts, page=page), parameters
