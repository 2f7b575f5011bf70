"""Reading the catalog: filtered and searched pages with facets, one product, categories. Postgres writes the JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from shared.clients.postgres import Connection, execute, read, read_one
from shared.domain import spelling
from shared.errors import ProductNotFound
from shared.storage.catalog import search

Sort = Literal["relevance", "price_asc", "price_desc", "newest", "popular"]

# Lower ends of the price bands; a band ends a cent before the next begins, so that both ends can be used as filters.
PRICE_BANDS: Final = (0, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
MAX_TAG_FACETS: Final = 20

_FILTERS: Final = {
    "category_id": "p.category_id IN (SELECT id FROM subtree_of_id)",
    "category": "p.category_id IN (SELECT id FROM subtree_of_name)",
    "min_price": "p.price >= cast(cast(:min_price AS float8) AS numeric)",
    "max_price": "p.price <= cast(cast(:max_price AS float8) AS numeric)",
    "in_stock": "(p.quantity > 0) = cast(:in_stock AS boolean)",
    "tags": "p.tags @> cast(:tags AS text[])",
    # an exact stock code counts, whatever its words
    "words": "(p.document @@ q.matching OR lower(p.external_id) = lower(:code))",
}
_SUBTREE: Final = """subtree_of_{name} AS (
    WITH RECURSIVE tree AS (
        SELECT id FROM categories WHERE {condition}
        UNION SELECT c.id FROM categories c JOIN tree ON c.parent_id = tree.id
    ) SELECT id FROM tree), """
_SUBTREES: Final = {
    "category_id": _SUBTREE.format(name="id", condition="id = :category_id"),
    "category": _SUBTREE.format(name="name", condition="lower(name) = lower(:category)"),
}
# by match: the stock code itself, all words whole, weight of the match in tenths; then by popularity
_RELEVANCE: Final = "exact DESC, whole DESC, rank DESC, purchases DESC, id"
_ORDERS: Final[dict[Sort, str]] = {
    "relevance": "purchases DESC, id",
    "popular": "purchases DESC, id",
    "newest": "created_at DESC, id DESC",
    "price_asc": "price, id",
    "price_desc": "price DESC, id",
}
_TEXT_COLUMNS: Final = """lower(p.external_id) = lower(:code) AS exact, p.document @@ q.whole AS whole,
           round(ts_rank(p.document, q.matching)::numeric, 1) AS rank, """

# {subtrees} {text_query} {columns} {source} {conditions} {order}: fixed fragments of this module, never client's text
_PAGE: Final = """
WITH {subtrees}{text_query}matched AS MATERIALIZED (
    SELECT {columns}p.id, p.price, p.category_id, p.tags, p.created_at, coalesce(s.purchase_count, 0) AS purchases
    FROM {source}products p LEFT JOIN product_stats s ON s.product_id = p.id
    WHERE p.is_active{conditions}
), page AS (
    SELECT id, row_number() OVER () AS position
    FROM (SELECT id FROM matched ORDER BY {order}
          LIMIT cast(:page_size AS bigint) OFFSET cast(:skipped AS bigint)) AS ordered
), bands AS (
    SELECT width_bucket(price, cast(:band_starts AS numeric[])) AS band, count(*) AS n FROM matched GROUP BY 1
)
SELECT (SELECT count(*) FROM matched) AS total,
    coalesce((SELECT json_agg(product_json(p, c.name, s) ORDER BY page.position)
        FROM page JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
        LEFT JOIN product_stats s ON s.product_id = p.id), '[]')::text AS products,
    json_build_object(
        'categories', coalesce((
            SELECT json_agg(json_build_object('id', c.id, 'name', c.name, 'count', n) ORDER BY n DESC, c.name)
            FROM (SELECT category_id, count(*) AS n FROM matched GROUP BY 1) AS counted
            JOIN categories c ON c.id = counted.category_id), '[]'),
        'price_bands', coalesce((SELECT json_agg(json_build_object(
                'min', (cast(:band_starts AS numeric[]))[band],
                'max', (cast(:band_starts AS numeric[]))[band + 1] - 0.01, 'count', n) ORDER BY band)
            FROM bands), '[]'),
        'tags', coalesce((SELECT json_agg(json_build_object('tag', tag, 'count', n) ORDER BY n DESC, tag)
            FROM (SELECT tag, count(*) AS n FROM (SELECT unnest(tags) AS tag FROM matched) AS each
                  GROUP BY 1 ORDER BY n DESC, tag LIMIT cast(:tag_facets AS integer)) AS counted), '[]')
    )::text AS facets"""

ONE: Final = """
SELECT product_json(p, c.name, s)::text FROM products p
LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.id = :product_id AND (p.is_active OR cast(:hidden AS boolean))"""
# how many active products are in a category or below it
CATEGORIES: Final = """
WITH RECURSIVE up AS (
    SELECT id AS category_id, id, parent_id FROM categories
    UNION ALL SELECT up.category_id, c.id, c.parent_id FROM up JOIN categories c ON c.id = up.parent_id
) CYCLE id SET looped USING path, counts AS (
    SELECT category_id, count(*) AS n FROM products WHERE is_active AND category_id IS NOT NULL GROUP BY 1
), sums AS (
    SELECT up.id, sum(n) AS n FROM up JOIN counts USING (category_id) WHERE NOT looped GROUP BY 1
)
SELECT coalesce(json_agg(json_build_object('id', c.id, 'name', c.name, 'parent_id', c.parent_id,
                                           'product_count', coalesce(n, 0)) ORDER BY c.name), '[]')::text
FROM categories c LEFT JOIN sums USING (id)"""
SHOWN: Final = """
SELECT p.id, CASE WHEN p.is_active THEN product_json(p, c.name, s)::text END
FROM products p LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.id = ANY (cast(:product_ids AS bigint[]))"""


@dataclass(frozen=True)
class Filters:
    """What narrows a page of products; None or empty: not narrowed. Text has been validated."""

    search: str = ""
    category: str | None = None
    category_id: int | None = None
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """Where in the sorted result to read: ``number`` from 1, at most ``size`` products."""

    number: int = 1
    size: int = 20
    sort: Sort = "relevance"


def _query(filters: Filters, page: Page, words: Sequence[str], *, any_word: bool) -> tuple[str, dict[str, Any]]:
    given: dict[str, Any] = {name: getattr(filters, name) for name in _FILTERS if name not in ("words", "tags")}
    given["tags"] = list(filters.tags) or None
    parameters = {name: value for name, value in given.items() if value is not None}
    conditions = [_FILTERS[name] for name in parameters]
    order = _ORDERS[page.sort]
    text_query = columns = source = ""
    if words:
        parameters |= search.text_parameters(words, any_word=any_word) | {"code": filters.search.strip()}
        conditions.append(_FILTERS["words"])
        text_query, source, columns = f"q AS MATERIALIZED ({search.TEXT_QUERY}), ", "q, ", _TEXT_COLUMNS
        order = _RELEVANCE if page.sort == "relevance" else order
    sql = _PAGE.format(
        subtrees="".join(_SUBTREES[name] for name in _SUBTREES if name in parameters),
        text_query=text_query,
        columns=columns,
        source=source,
        order=order,
        conditions="".join(f" AND {condition}" for condition in conditions),
    )
    parameters |= {
        "page_size": page.size,
        "skipped": (page.number - 1) * page.size,
        "band_starts": list(PRICE_BANDS),
        "tag_facets": MAX_TAG_FACETS,
    }
    return sql, parameters


def _read_page(filters: Filters, page: Page, words: Sequence[str], *, any_word: bool = False) -> tuple[int, str, str]:
    sql, parameters = _query(filters, page, words, any_word=any_word)
    row = read(sql, **parameters)[0]
    return int(row[0]), row[1], row[2]


def find(filters: Filters, page: Page) -> bytes:
    """Return a page of the public catalog as the JSON of ``GET /products``.

    A search whose words no product has together is asked again: first with each word that the catalog does not know
    replaced by the nearest that it does (told as ``corrected_query``), then for products with any of the words.
    """
    words = spelling.words_of(filters.search)
    corrected = None
    if filters.search.strip() and not words:
        # a text without a word, such as punctuation, finds nothing
        return _body(0, "[]", '{"categories":[],"price_bands":[],"tags":[]}', page, None)
    total, products, facets = _read_page(filters, page, words)
    if words and total == 0:
        matches, meant = search.diagnose(words)
        if meant != words:
            words, corrected = meant, " ".join(meant)
            total, products, facets = _read_page(filters, page, words)
            matches = total > 0 or search.diagnose(words)[0]
        if not matches and len(words) > 1:
            total, products, facets = _read_page(filters, page, words, any_word=True)
    return _body(total, products, facets, page, corrected if total else None)


def _body(total: int, products: str, facets: str, page: Page, corrected: str | None) -> bytes:
    tail = f',"corrected_query":{orjson.dumps(corrected).decode()}' if corrected else ""
    return (
        f'{{"products":{products},"total":{total},"page":{page.number},"page_size":{page.size},'
        f'"total_pages":{-(-total // page.size)},"facets":{facets}{tail}}}'
    ).encode()


def one(product_id: int, *, hidden: bool = False) -> bytes:
    """Return a product's JSON; ``hidden`` ones, which are not active, only when asked for. Raises ProductNotFound."""
    row = read_one(ONE, product_id=product_id, hidden=hidden)
    if row is None:
        raise ProductNotFound(f"There is no product {product_id}.")
    return str(row[0]).encode()


def one_in(connection: Connection, product_id: int) -> bytes:
    """Return a product's JSON, active or not, as the caller's transaction sees it. Raises ProductNotFound."""
    rows = execute(connection, ONE, {"product_id": product_id, "hidden": True})
    if not rows:
        raise ProductNotFound(f"There is no product {product_id}.")
    return str(rows[0][0]).encode()


def categories() -> bytes:
    """Return all categories as JSON, by name; a category counts the products of those below it too."""
    return str(read(CATEGORIES)[0][0]).encode()


def shown(product_ids: Sequence[int]) -> dict[int, bytes | None]:
    """Return the JSON of each product that exists; None for those that are not shown to the public."""
    rows = read(SHOWN, product_ids=list(product_ids))
    return {int(row[0]): None if row[1] is None else row[1].encode() for row in rows}
