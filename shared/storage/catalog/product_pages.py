"""Pages of products: filters, search by text, order, total and facets. Postgres writes the JSON."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

from shared.clients.postgres import read
from shared.domain import cursors
from shared.domain.cursors import KeyType
from shared.domain.ranking import EARTH_RADIUS_KM
from shared.domain.shop import price_bands
from shared.errors import InvalidRequest
from shared.storage.catalog import browsing, corrections
from shared.storage.catalog.categories import NAMED, in_subtree
from shared.storage.catalog.text_query import Matching, read_text_query
from shared.storage.operations import shop

Sort = Literal["relevance", "price_asc", "price_desc", "newest", "popular", "distance"]
# Whether a page shows one variant of each group, or all products.
Variants = Literal["one", "all"]

MAX_TAG_FACETS: Final = 20
# between two degrees of latitude; rounded down, so that a range of latitudes leaves nothing out
KM_PER_DEGREE: Final = 111.0

# Great-circle distance in km from the request's place, as distance_km() of shared/domain/ranking.py computes it; null
# for a product without a place.
_DISTANCE: Final = f"""CASE WHEN p.latitude IS NOT NULL THEN 2 * {EARTH_RADIUS_KM} * asin(least(1, sqrt(
        sin(radians(p.latitude - cast(:latitude AS float8)) / 2) ^ 2
        + cos(radians(cast(:latitude AS float8))) * cos(radians(p.latitude))
          * sin(radians(p.longitude - cast(:longitude AS float8)) / 2) ^ 2))) END"""
_FILTERS: Final = {
    "category_id": in_subtree("p", "subtree_of_id"),
    "category": in_subtree("p", "subtree_of_name"),
    "external_ids": "p.external_id = ANY (cast(:external_ids AS text[]))",
    "min_rating": "p.average_rating >= cast(cast(:min_rating AS float8) AS numeric)",
    "on_sale": "coalesce(p.list_price > p.price, false) = cast(:on_sale AS boolean)",
    # the range of latitudes leads to an index
    "max_distance_km": f"""p.latitude
            BETWEEN cast(:latitude AS float8) - cast(:max_distance_km AS float8) / {KM_PER_DEGREE}
            AND cast(:latitude AS float8) + cast(:max_distance_km AS float8) / {KM_PER_DEGREE}
        AND {_DISTANCE} <= cast(:max_distance_km AS float8)""",
    "min_price": "p.price >= cast(cast(:min_price AS float8) AS numeric)",
    "max_price": "p.price <= cast(cast(:max_price AS float8) AS numeric)",
    "in_stock": "(p.quantity > 0) = cast(:in_stock AS boolean)",
    "tags": "p.tags @> cast(:tags AS text[])",
    # an exact external_id or title matches, whatever words the product has
    "words": """(p.document @@ cast(:matching AS tsquery) OR lower(p.external_id) = lower(:external_id)
        OR p.title_key = cast(:title_key AS bigint))""",
}
# the same of a row of catalog_counts, and of a cell of a group
_COUNTED_FILTERS: Final = {
    "category_id": "p.category_ids && ARRAY(SELECT id FROM subtree_of_id)",
    "category": "p.category_ids && ARRAY(SELECT id FROM subtree_of_name)",
    "in_stock": "p.in_stock = cast(:in_stock AS boolean)",
}
_SUBTREE: Final = """subtree_of_{name} AS (
    WITH RECURSIVE tree AS (
        SELECT id FROM categories WHERE {condition}
        UNION SELECT c.id FROM categories c JOIN tree ON c.parent_id = tree.id
    ) SELECT id FROM tree), """
_SUBTREE_NAMES: Final = {"category_id": "subtree_of_id", "category": "subtree_of_name"}
_SUBTREES: Final = {
    "category_id": _SUBTREE.format(name="id", condition="id = :category_id"),
    "category": _SUBTREE.format(name="name", condition=NAMED),
}
# an exact external_id first, then an exact title (the one with the same punctuation before others), then matches of all
# complete words, then the rank in steps of a tenth, then popularity
_RELEVANCE: Final = "is_id DESC, is_title DESC, all_words DESC, rank DESC, purchases DESC, id"
# Products of a search that are ranked by their words: the most purchased ones. Those beyond follow by purchases, so
# that a word that a tenth of a large catalog has costs little more than in a small one.
MAX_RANKED: Final = 1000
_ORDERS: Final[dict[Sort, str]] = {
    "relevance": "purchases DESC, id",
    "popular": "purchases DESC, id",
    "newest": "created_at DESC, id DESC",
    "price_asc": "price, id",
    "price_desc": "price DESC, id",
    "distance": "distance, id",
}
# of the columns of orders; products without a place come last
_KEY_TYPES: Final[dict[str, KeyType]] = {
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
# the array is read once; comparing ids costs a match less than comparing texts
_IS_ID: Final = (
    "p.id = ANY (ARRAY(SELECT exact.id FROM products exact WHERE lower(exact.external_id) = lower(:external_id)))"
)
_TEXT_COLUMNS: Final = f"""{_IS_ID} AS is_id,
           CASE WHEN p.title_key = cast(:title_key AS bigint)
                THEN 1 + (SELECT lower(t.name) = lower(:external_id) FROM products t WHERE t.id = p.id)::integer
                ELSE 0 END AS is_title, """
# Filters that read search_entries alone, for a product as p. A search by other filters or orders reads products.
_ENTRY_FILTERS: Final = {
    "category_id": _FILTERS["category_id"],
    "category": _FILTERS["category"],
    "min_price": _FILTERS["min_price"],
    "max_price": _FILTERS["max_price"],
    "in_stock": "p.in_stock = cast(:in_stock AS boolean)",
}
# orders by what search_entries does not have
_PRODUCT_SORTS: Final = ("newest", "distance")
_ENTRY_WORDS: Final = f"""(p.document @@ cast(:matching AS tsquery) OR p.title_key = cast(:title_key AS bigint)
        OR {_IS_ID})"""
_MOST_PURCHASED: Final = f"""(
        SELECT most.*, p.document @@ cast(:complete AS tsquery) AS all_words,
               round(ts_rank(p.document, cast(:matching AS tsquery))::numeric, 1) AS rank
        FROM (SELECT id, is_id, is_title, purchases FROM matched
              ORDER BY is_id DESC, is_title DESC, purchases DESC, id LIMIT {MAX_RANKED}) AS most
        JOIN search_entries p USING (id))"""
# all matches, for pages that may lie beyond those that are ranked
_RANKED: Final = f"""(
        SELECT matched.id, matched.is_id, matched.is_title, matched.purchases,
               coalesce(ranked.all_words, false) AS all_words, coalesce(ranked.rank, -1) AS rank
        FROM matched LEFT JOIN {_MOST_PURCHASED} AS ranked USING (id))"""

# Only fixed fragments of this module replace the names in braces; values are always parameters.
_PAGE: Final = """
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


_MATCHING: Final = """SELECT {columns}p.id, p.category_id, p.further_category_ids, p.item_group_id,
           p.tags_key, p.price_step, p.tags{more}
    FROM {products} p{statistics}
    WHERE p.is_active{conditions}"""
# Products with the columns of search_entries.
_PRODUCTS: Final = """(
        SELECT *, hash_array_extended(tags, 0) AS tags_key, price_step_of(price) AS price_step, quantity > 0 AS in_stock
        FROM products)"""
# of variants, those in stock come first
_IN_STOCK: Final = ", p.in_stock"
# only for an order by them: what a match is kept with costs time
_KEY_COLUMNS: Final = {
    "purchases": ", coalesce(s.purchase_count, 0) AS purchases",
    "created_at": ", p.created_at",
    "price": ", p.price",
}
# Products without purchases are left out, so that many matches are joined with few rows of one index.
_STATISTICS: Final = """
        LEFT JOIN (SELECT product_id, purchase_count FROM product_stats WHERE purchase_count > 0) AS s
        ON s.product_id = p.id"""
_ALL_VARIANTS: Final = "SELECT * FROM matching"
# Of the variants that match, the exact id first, then the best in stock by the page's order.
_ONE_VARIANT: Final = """SELECT * FROM matching WHERE item_group_id IS NULL
    UNION ALL
    (SELECT DISTINCT ON (item_group_id) * FROM grouped
     ORDER BY item_group_id, {exact}in_stock DESC, {order})"""
# What a facet counts: of a group that a page shows once, each value once, whichever variants that match have it. A
# facet's count is thus the total of the page that is filtered by it.
# A large result is read as few times as possible: once for categories and bands, and for tags by the sets that products
# have, of which there are fewer; and once for the few products that count in other ways. A hash of 64 bits stands for a
# set of tags, as title_key stands for a title.
_FACTS: Final = """SELECT category_id, price_step AS band, any_value(tags) AS tags, count(*) AS n,
           grouping(price_step) = 0 AS is_cell
    FROM matching{singles}
    GROUP BY GROUPING SETS ((category_id, price_step), (tags_key))"""
_FURTHER: Final = """further AS MATERIALIZED (
    SELECT category_id, further_category_ids FROM matching WHERE {singles_and}further_category_ids <> '{{}}'
), """
_GROUPED: Final = """grouped AS MATERIALIZED (
    SELECT * FROM matching WHERE item_group_id IS NOT NULL
), """
# a set of rows in the list of columns costs less than one in FROM
_FURTHER_CATEGORIES: Final = """
    UNION ALL SELECT further_id, 1 FROM (
        SELECT category_id, unnest(categories_of(NULL, further_category_ids)) AS further_id FROM further) AS each
    WHERE further_id IS DISTINCT FROM category_id"""
_OF_GROUPS: Final = """
    UNION ALL SELECT value, 1 FROM (SELECT DISTINCT {values} AS value, item_group_id FROM grouped) AS of_groups"""
_SINGLES: Final = " WHERE item_group_id IS NULL"
_GROUP_FACETS: Final = {
    "group_categories": _OF_GROUPS.format(
        values="unnest(categories_of(category_id, coalesce(further_category_ids, '{}')))"
    ),
    "group_bands": _OF_GROUPS.format(values="price_step"),
    "group_tags": _OF_GROUPS.format(values="unnest(tags)"),
}
_TOTAL: Final = "(SELECT coalesce(sum(n), 0)::bigint FROM facts WHERE is_cell)"
_TOTAL_OF_ONE_VARIANT: Final = f"{_TOTAL} + (SELECT count(DISTINCT item_group_id) FROM grouped)"
_PRODUCT: Final = "product_json(p, c, s)"
# the last field of a product's JSON is a text
_PRODUCT_WITH_DISTANCE: Final = f"""(left({_PRODUCT}::text, -1) || ', "distance_km" : '
    || coalesce(round(cast({_DISTANCE} AS numeric), 3)::text, 'null') || '}}')::json"""


@dataclass(frozen=True)
class Filters:
    """Filters of a page of products, all validated; None or an empty value filters nothing."""

    search: str = ""
    category: str | None = None
    category_id: int | None = None
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool | None = None
    tags: tuple[str, ...] = ()
    external_ids: tuple[str, ...] = ()
    min_rating: float | None = None
    on_sale: bool | None = None
    latitude: float | None = None
    longitude: float | None = None
    max_distance_km: float | None = None
    variants: Variants = "one"


@dataclass(frozen=True)
class Page:
    """The part of the sorted products to return: page ``number``, from 1, of at most ``size`` products.

    With the cursor ``after``, the products after it.
    """

    number: int = 1
    size: int = 20
    sort: Sort = "relevance"
    after: str | None = None


def _key(order: str) -> list[tuple[str, bool, KeyType]]:
    """Return the columns of an order: the expression, whether it descends, and its type."""
    columns = [(part.split()[0], part.endswith(" DESC")) for part in order.split(", ")]
    return [
        ("coalesce(distance, 'Infinity')" if name == "distance" else name, descends, _KEY_TYPES[name])
        for name, descends in columns
    ]


def _order_of(page: Page, search: str) -> str:
    """Return the order of a page, in SQL."""
    return _RELEVANCE if search and page.sort == "relevance" else _ORDERS[page.sort]


def _page_parameters(page: Page, order: str) -> dict[str, Any]:
    """Return the parameters of a page and its facets. Raises InvalidRequest for a cursor of another list."""
    bands = price_bands(shop.current().currency)
    parameters: dict[str, Any] = {
        "page_size": page.size,
        "skipped": (page.number - 1) * page.size,
        "band_starts": list(bands.starts),
        "band_ends": list(bands.ends),
        "tag_facets": MAX_TAG_FACETS,
    }
    if page.after is None:
        return parameters
    try:
        return parameters | cursors.parameters(
            cursors.decode(page.after, order, [kind for _column, _descends, kind in _key(order)])
        )
    except ValueError as error:
        raise InvalidRequest(f"after: {error}.") from None


def _query(filters: Filters, page: Page, search: str, how: Matching) -> tuple[str, dict[str, Any]]:
    lists = ("tags", "external_ids")
    values: dict[str, Any] = {name: getattr(filters, name) for name in _FILTERS if name not in ("words", *lists)}
    values |= {name: list(getattr(filters, name)) or None for name in lists}
    parameters = {name: value for name, value in values.items() if value is not None}
    order = _order_of(page, search)
    key = _key(order)
    reads_entries = bool(search) and _ENTRY_FILTERS.keys() >= parameters.keys() and page.sort not in _PRODUCT_SORTS
    conditions = [(_ENTRY_FILTERS if reads_entries else _FILTERS)[name] for name in parameters]
    columns = exact = ""
    rows = "matched"
    if search:
        # as values, so that the planner knows how many products match
        parameters |= read_text_query(search, how) | {"external_id": filters.search.strip()}
        conditions.append(_ENTRY_WORDS if reads_entries else _FILTERS["words"])
        columns = _TEXT_COLUMNS
        exact = "is_id DESC, is_title DESC, "
        if page.sort == "relevance":
            # one more than the page has: whether there is a next page
            is_among_ranked = page.after is None and page.number * page.size < MAX_RANKED
            rows = _MOST_PURCHASED if is_among_ranked else _RANKED
    product = _PRODUCT
    if filters.latitude is not None:
        parameters |= {"latitude": filters.latitude, "longitude": filters.longitude}
        product = _PRODUCT_WITH_DISTANCE
        if page.sort == "distance":
            columns += f"{_DISTANCE} AS distance, "
    matched, singles = _ALL_VARIANTS, ""
    # a request that names products by their ids gets these products, not other variants
    if filters.variants == "one" and not filters.external_ids:
        matched = _ONE_VARIANT.format(exact=exact, order=_ORDERS[page.sort])
        singles = _SINGLES
    names = {name for name, _descends, _type in key}
    sql = _PAGE.format(
        subtrees="".join(_SUBTREES[name] for name in _SUBTREES if name in parameters),
        matching=_MATCHING.format(
            products="search_entries" if reads_entries else _PRODUCTS,
            columns=columns,
            conditions="".join(f" AND {part}" for part in conditions),
            more=(_IN_STOCK if singles else "") + "".join(_KEY_COLUMNS[name] for name in _KEY_COLUMNS if name in names),
            statistics=_STATISTICS if "purchases" in names else "",
        ),
        matched=matched,
        others=_FURTHER.format(singles_and="item_group_id IS NULL AND " if singles else "")
        + (_GROUPED if singles else ""),
        facts=_FACTS.format(singles=singles),
        further_categories=_FURTHER_CATEGORIES,
        **{name: facet if singles else "" for name, facet in _GROUP_FACETS.items()},
        total=_TOTAL_OF_ONE_VARIANT if singles else _TOTAL,
        rows=rows,
        order=order,
        product=product,
        key=", ".join(column for column, _descends, _type in key),
        after="" if page.after is None else f" WHERE {cursors.after(key)}",
    )
    return sql, parameters | _page_parameters(page, order)


def _can_browse(filters: Filters, page: Page, search: str) -> bool:
    """Return whether the counts answer a page: they are kept by category, price and stock.

    A text and every other filter need the products themselves; so do several tags together.
    """
    others = replace(filters, search="", category=None, category_id=None, min_price=None, max_price=None, in_stock=None)
    return not search and page.sort != "distance" and others == Filters(variants=filters.variants)


def _browse(filters: Filters, page: Page) -> tuple[str, dict[str, Any]]:
    """Return the statement and parameters of a page that ``_can_browse``."""
    names = ("category_id", "category", "min_price", "max_price", "in_stock")
    values: dict[str, Any] = {name: getattr(filters, name) for name in names}
    parameters = {name: value for name, value in values.items() if value is not None}
    prices = [_FILTERS[name] for name in ("min_price", "max_price") if name in parameters]
    conditions = [(_FILTERS[name], _COUNTED_FILTERS[name]) for name in _COUNTED_FILTERS if name in parameters]
    subtrees = {name: _SUBTREES[parameter] for parameter, name in _SUBTREE_NAMES.items() if parameter in parameters}
    sql, more = browsing.statement(
        page.sort,
        subtrees,
        prices,
        conditions,
        price_bands(shop.current().currency),
        (filters.min_price, filters.max_price),
        shows_all=filters.variants == "all",
        has_cursor=page.after is not None,
    )
    parameters |= more | _page_parameters(page, _ORDERS[page.sort])
    if ":last_place" in sql:
        # one more than the page has: whether there is a next page
        parameters["last_place"] = page.number * page.size + 1
    return sql, parameters


def _read_page(filters: Filters, page: Page, search: str, how: Matching = "all") -> tuple[int, str, str, str | None]:
    """Return the total, products and facets as JSON, and the cursor of the next page."""
    if _can_browse(filters, page, search):
        sql, parameters = _browse(filters, page)
    else:
        sql, parameters = _query(filters, page, search, how)
    row = read(sql, **parameters)[0]
    following = None if row[3] is None else cursors.encode(_order_of(page, search), orjson.loads(row[3]))
    return int(row[0]), row[1], row[2], following


def find(filters: Filters, page: Page) -> bytes:
    """Return a page of the active products as the JSON of ``GET /products``.

    A search that matches nothing is repeated: first with each word that the catalog does not know replaced by the
    nearest known word (``corrected_query`` in the answer), then for products with all words but one, then with any.
    """
    search = filters.search.strip()
    corrected = None
    total, products, facets, following = _read_page(filters, page, search)
    if search and total == 0:
        diagnosis = corrections.diagnose(search)
        any_match = diagnosis.any_match
        if diagnosis.meant != diagnosis.words:
            search = corrected = " ".join(diagnosis.meant)
            total, products, facets, following = _read_page(filters, page, search)
            any_match = total > 0 or corrections.diagnose(search).any_match
        # a text without spaces may be several words in Japanese
        has_words = len(diagnosis.words) > 1 or not search.isascii()
        steps: tuple[Matching, ...] = ("most", "any") if has_words and not any_match else ()
        for how in steps:
            total, products, facets, following = _read_page(filters, page, search, how)
            if total:
                break
    return _body(total, products, facets, page, following, corrected if total else None)


def _body(total: int, products: str, facets: str, page: Page, following: str | None, corrected: str | None) -> bytes:
    tail = f',"corrected_query":{orjson.dumps(corrected).decode()}' if corrected else ""
    return (
        f'{{"products":{products},"total":{total},"page":{page.number},"page_size":{page.size},'
        f'"total_pages":{-(-total // page.size)},"next":{orjson.dumps(following).decode()},"facets":{facets}{tail}}}'
    ).encode()


def total_of(body: bytes) -> int:
    """Return the total of a page that ``find`` returned. Inside of a JSON text the quotes would be escaped."""
    return int(body.rpartition(b'],"total":')[2].partition(b",")[0])
