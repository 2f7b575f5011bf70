"""The SQL of pages of products, in fragments from which ``product_pages`` builds the statement of a request."""

from typing import Final

from shared.domain.cursors import KeyType
from shared.domain.ranking import EARTH_RADIUS_KM
from shared.storage.catalog.categories import NAMED, in_subtree

MAX_TAG_FACETS: Final = 20
# Kilometres per degree of latitude; rounded down, so that a latitude range excludes no match.
KM_PER_DEGREE: Final = 111.0

# Great-circle distance in km from the request's location, as computed by distance_km() of shared/domain/ranking.py;
# null for a product without a location.
DISTANCE: Final = f"""CASE WHEN p.latitude IS NOT NULL THEN 2 * {EARTH_RADIUS_KM} * asin(least(1, sqrt(
        sin(radians(p.latitude - cast(:latitude AS float8)) / 2) ^ 2
        + cos(radians(cast(:latitude AS float8))) * cos(radians(p.latitude))
          * sin(radians(p.longitude - cast(:longitude AS float8)) / 2) ^ 2))) END"""
FILTERS: Final = {
    "category_id": in_subtree("p", "subtree_of_id"),
    "category": in_subtree("p", "subtree_of_name"),
    "external_ids": "p.external_id = ANY (cast(:external_ids AS text[]))",
    "min_rating": "p.average_rating >= cast(cast(:min_rating AS float8) AS numeric)",
    "on_sale": "coalesce(p.list_price > p.price, false) = cast(:on_sale AS boolean)",
    # The latitude range allows an index scan.
    "max_distance_km": f"""p.latitude
            BETWEEN cast(:latitude AS float8) - cast(:max_distance_km AS float8) / {KM_PER_DEGREE}
            AND cast(:latitude AS float8) + cast(:max_distance_km AS float8) / {KM_PER_DEGREE}
        AND {DISTANCE} <= cast(:max_distance_km AS float8)""",
    "min_price": "p.price >= cast(cast(:min_price AS float8) AS numeric)",
    "max_price": "p.price <= cast(cast(:max_price AS float8) AS numeric)",
    "in_stock": "(p.quantity > 0) = cast(:in_stock AS boolean)",
    "tags": "p.tags @> cast(:tags AS text[])",
    # An exact external_id or title matches regardless of the words in the document.
    "words": """(p.document @@ cast(:matching AS tsquery) OR lower(p.external_id) = lower(:external_id)
        OR p.title_key = cast(:title_key AS bigint))""",
}
# The same filters for a row of catalog_counts, and for a cell of a group.
COUNTED_FILTERS: Final = {
    "category_id": "p.category_ids && ARRAY(SELECT id FROM subtree_of_id)",
    "category": "p.category_ids && ARRAY(SELECT id FROM subtree_of_name)",
    "in_stock": "p.in_stock = cast(:in_stock AS boolean)",
}
SUBTREE: Final = """subtree_of_{name} AS (
    WITH RECURSIVE tree AS (
        SELECT id FROM categories WHERE {condition}
        UNION SELECT c.id FROM categories c JOIN tree ON c.parent_id = tree.id
    ) SELECT id FROM tree), """
SUBTREE_NAMES: Final = {"category_id": "subtree_of_id", "category": "subtree_of_name"}
SUBTREES: Final = {
    "category_id": SUBTREE.format(name="id", condition="id = :category_id"),
    "category": SUBTREE.format(name="name", condition=NAMED),
}
# An exact external_id first, then an exact title (one with the same punctuation before others), then matches of all
# complete words, then rank in steps of a tenth, then popularity.
RELEVANCE: Final = "is_id DESC, is_title DESC, all_words DESC, rank DESC, purchases DESC, id"
# How many matches, the most purchased ones, are ranked by relevance. The rest follow by purchases, so that a word found
# in a tenth of a large catalog costs little more than in a small one.
MAX_RANKED: Final = 1000
ORDERS: Final[dict[str, str]] = {
    "relevance": "purchases DESC, id",
    "popular": "purchases DESC, id",
    "newest": "created_at DESC, id DESC",
    "price_asc": "price, id",
    "price_desc": "price DESC, id",
    "distance": "distance, id",
}
# Types of the columns in ORDERS. Products without a location come last.
KEY_TYPES: Final[dict[str, KeyType]] = {
    "is_id": "boolean",
    "is_title": "bigint",
    "all_words": "boolean",
    "rank": "numeric",
    "purchases": "bigint",
    "id": "bigint",
    "created_at": "timestamptz",
    "price": "numeric",
    "distance": "float8",
}
# The array is evaluated once, and comparing ids is cheaper per match than comparing texts.
IS_ID: Final = (
    "p.id = ANY (ARRAY(SELECT exact.id FROM products exact WHERE lower(exact.external_id) = lower(:external_id)))"
)
TEXT_COLUMNS: Final = f"""{IS_ID} AS is_id,
           CASE WHEN p.title_key = cast(:title_key AS bigint)
                THEN 1 + (SELECT lower(t.name) = lower(:external_id) FROM products t WHERE t.id = p.id)::integer
                ELSE 0 END AS is_title, """
# Filters that need only search_entries, aliased p. A search with other filters or sort orders reads products.
ENTRY_FILTERS: Final = {
    "category_id": FILTERS["category_id"],
    "category": FILTERS["category"],
    "min_price": FILTERS["min_price"],
    "max_price": FILTERS["max_price"],
    "in_stock": "p.in_stock = cast(:in_stock AS boolean)",
}
# Sort orders by columns that search_entries lacks.
PRODUCT_SORTS: Final = ("newest", "distance")
ENTRY_WORDS: Final = f"""(p.document @@ cast(:matching AS tsquery) OR p.title_key = cast(:title_key AS bigint)
        OR {IS_ID})"""
MOST_PURCHASED: Final = f"""(
        SELECT most.*, p.document @@ cast(:complete AS tsquery) AS all_words,
               round(ts_rank(p.document, cast(:matching AS tsquery))::numeric, 1) AS rank
        FROM (SELECT id, is_id, is_title, purchases FROM matched
              ORDER BY is_id DESC, is_title DESC, purchases DESC, id LIMIT {MAX_RANKED}) AS most
        JOIN search_entries p USING (id))"""
# All matches, for pages that may lie beyond the ranked ones.
RANKED: Final = f"""(
        SELECT matched.id, matched.is_id, matched.is_title, matched.purchases,
               coalesce(ranked.all_words, false) AS all_words, coalesce(ranked.rank, -1) AS rank
        FROM matched LEFT JOIN {MOST_PURCHASED} AS ranked USING (id))"""

# Only fixed fragments of this module and of product_pages.py replace the names in braces; values are always parameters.
PAGE: Final = """
WITH {subtrees}matching AS MATERIALIZED (
    {matching}
), {others}matched AS NOT MATERIALIZED (
    {matched}
), facts AS MATERIALIZED (
    {facts}
), ordered AS MATERIALIZED (
    -- one row more than the page has: whether there is a next page
    SELECT id, json_build_array({key}) AS key, row_number() OVER () AS position
    FROM (SELECT * FROM {rows} AS sorted{after} ORDER BY {order}
          LIMIT cast(:page_size AS bigint) + 1 OFFSET cast(:skipped AS bigint)) AS rows
), page AS (
    SELECT id, position FROM ordered WHERE position <= cast(:page_size AS bigint)
)
SELECT {total} AS total,
    coalesce((SELECT json_agg({product} ORDER BY page.position)
        FROM page JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
        LEFT JOIN product_stats s ON s.product_id = p.id), '[]')::text AS products,
    json_build_object(
        'categories', coalesce((
            SELECT json_agg(json_build_object('id', c.id, 'name', c.leaf, 'path', c.path, 'count', counted.products)
                            ORDER BY counted.products DESC, c.path)
            FROM (SELECT category_id, sum(n)::bigint AS products
                  FROM (SELECT category_id, n FROM facts WHERE is_cell{further_categories}{group_categories}) AS each
                  GROUP BY 1) AS counted
            JOIN categories c ON c.id = counted.category_id), '[]'),
        'price_bands', coalesce((SELECT json_agg(json_build_object(
                'min', (cast(:band_starts AS numeric[]))[band],
                'max', (cast(:band_ends AS numeric[]))[band], 'count', products) ORDER BY band)
            FROM (SELECT band, sum(n)::bigint AS products
                  FROM (SELECT band, n FROM facts WHERE is_cell{group_bands}) AS each
                  GROUP BY 1) AS counted), '[]'),
        'tags', coalesce((SELECT json_agg(json_build_object('tag', tag, 'count', products) ORDER BY products DESC, tag)
            FROM (SELECT tag, sum(n)::bigint AS products
                  FROM (SELECT unnest(tags) AS tag, n FROM facts WHERE NOT is_cell{group_tags}) AS each
                  GROUP BY 1 ORDER BY products DESC, tag LIMIT cast(:tag_facets AS integer)) AS counted), '[]')
    )::text AS facets,
    (SELECT key::text FROM ordered WHERE position = cast(:page_size AS bigint)
         AND EXISTS (SELECT FROM ordered WHERE position > cast(:page_size AS bigint))) AS next"""


MATCHING: Final = """SELECT {columns}p.id, p.category_id, p.further_category_ids, p.item_group_id,
           p.tags_key, p.price_step, p.tags{more}
    FROM {products} p{statistics}
    WHERE p.is_active{conditions}"""
# Products with the columns of search_entries.
PRODUCTS: Final = """(
        SELECT *, hash_array_extended(tags, 0) AS tags_key, price_step_of(price) AS price_step, quantity > 0 AS in_stock
        FROM products)"""
# Variants in stock come first.
IN_STOCK: Final = ", p.in_stock"
# Selected only when sorting by them, because each column kept with a match costs time.
KEY_COLUMNS: Final = {
    "purchases": ", coalesce(s.purchase_count, 0) AS purchases",
    "created_at": ", p.created_at",
    "price": ", p.price",
}
# Products without purchases are left out, so that many matches are joined with few index rows.
STATISTICS: Final = """
        LEFT JOIN (SELECT product_id, purchase_count FROM product_stats WHERE purchase_count > 0) AS s
        ON s.product_id = p.id"""
ALL_VARIANTS: Final = "SELECT * FROM matching"
# One of the matching variants: an exact id first, then those in stock, then by the page's order.
ONE_VARIANT: Final = """SELECT * FROM matching WHERE item_group_id IS NULL
    UNION ALL
    (SELECT DISTINCT ON (item_group_id) * FROM grouped
     ORDER BY item_group_id, {exact}in_stock DESC, {order})"""
# Facet counts. Where a page shows a group once, the group counts once for each value that any of its matching variants
# has, so a facet's count equals the total of the page filtered by it.
# A large result is read as few times as possible: once for categories, bands and distinct tag sets, of which there are
# fewer than products; and once for the few products that are counted differently. A set of tags is identified by a
# 64-bit hash, as a title is by title_key.
FACTS: Final = """SELECT category_id, price_step AS band, any_value(tags) AS tags, count(*) AS n,
           grouping(price_step) = 0 AS is_cell
    FROM matching{singles}
    GROUP BY GROUPING SETS ((category_id, price_step), (tags_key))"""
FURTHER: Final = """further AS MATERIALIZED (
    SELECT category_id, further_category_ids FROM matching WHERE {singles_and}further_category_ids <> '{{}}'
), """
GROUPED: Final = """grouped AS MATERIALIZED (
    SELECT * FROM matching WHERE item_group_id IS NOT NULL
), """
# A set-returning function costs less in the select list than in FROM.
FURTHER_CATEGORIES: Final = """
    UNION ALL SELECT further_id, 1 FROM (
        SELECT category_id, unnest(categories_of(NULL, further_category_ids)) AS further_id FROM further) AS each
    WHERE further_id IS DISTINCT FROM category_id"""
OF_GROUPS: Final = """
    UNION ALL SELECT value, 1 FROM (SELECT DISTINCT {values} AS value, item_group_id FROM grouped) AS of_groups"""
SINGLES: Final = " WHERE item_group_id IS NULL"
GROUP_FACETS: Final = {
    "group_categories": OF_GROUPS.format(
        values="unnest(categories_of(category_id, coalesce(further_category_ids, '{}')))"
    ),
    "group_bands": OF_GROUPS.format(values="price_step"),
    "group_tags": OF_GROUPS.format(values="unnest(tags)"),
}
TOTAL: Final = "(SELECT coalesce(sum(n), 0)::bigint FROM facts WHERE is_cell)"
TOTAL_OF_ONE_VARIANT: Final = f"{TOTAL} + (SELECT count(DISTINCT item_group_id) FROM grouped)"
PRODUCT: Final = "product_json(p, c, s)"
# Inserts distance_km before the closing brace of the product's JSON.
PRODUCT_WITH_DISTANCE: Final = f"""(left({PRODUCT}::text, -1) || ', "distance_km" : '
    || coalesce(round(cast({DISTANCE} AS numeric), 3)::text, 'null') || '}}')::json"""
