"""Pages of products: filters, search by text, order, total and facets. Postgres writes the JSON."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from shared.clients.postgres import read
from shared.storage.catalog import browsing, corrections
from shared.storage.catalog.text_query import TEXT_QUERY, Matching, text_parameters

Sort = Literal["relevance", "price_asc", "price_desc", "newest", "popular"]

# Lower ends of the price bands, as the SQL function price_band has them.
# A band ends a cent before the next begins, so that both ends work as filters.
PRICE_BANDS: Final = (0, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
MAX_TAG_FACETS: Final = 20

_FILTERS: Final = {
    "category_id": "p.category_id IN (SELECT id FROM subtree_of_id)",
    "category": "p.category_id IN (SELECT id FROM subtree_of_name)",
    "min_price": "p.price >= cast(cast(:min_price AS float8) AS numeric)",
    "max_price": "p.price <= cast(cast(:max_price AS float8) AS numeric)",
    "in_stock": "(p.quantity > 0) = cast(:in_stock AS boolean)",
    "tags": "p.tags @> cast(:tags AS text[])",
    # an exact external_id or title matches, whatever words the product has
    "words": "(p.document @@ q.matching OR lower(p.external_id) = lower(:external_id) OR p.title_key = q.title_key)",
}
# the same of a row of catalog_counts, where its columns have another name
_COUNTED_FILTERS: Final = {"in_stock": "p.in_stock = cast(:in_stock AS boolean)"}
_SUBTREE: Final = """subtree_of_{name} AS (
    WITH RECURSIVE tree AS (
        SELECT id FROM categories WHERE {condition}
        UNION SELECT c.id FROM categories c JOIN tree ON c.parent_id = tree.id
    ) SELECT id FROM tree), """
_SUBTREES: Final = {
    "category_id": _SUBTREE.format(name="id", condition="id = :category_id"),
    "category": _SUBTREE.format(name="name", condition="lower(name) = lower(:category)"),
}
# an exact external_id first, then an exact title (the one with the same punctuation before others), then matches of all
# complete words, then the rank in steps of a tenth, then popularity
_RELEVANCE: Final = "is_id DESC, is_title DESC, all_words DESC NULLS LAST, rank DESC NULLS LAST, purchases DESC, id"

# Products of a search that are ranked by their words: the most purchased ones. Those beyond follow by purchases, so
# that a word that a tenth of a large catalog has costs little more than in a small one.
MAX_RANKED: Final = 1000
_ORDERS: Final[dict[Sort, str]] = {
    "relevance": "purchases DESC, id",
    "popular": "purchases DESC, id",
    "newest": "created_at DESC, id DESC",
    "price_asc": "price, id",
    "price_desc": "price DESC, id",
}
_TEXT_COLUMNS: Final = """lower(p.external_id) = lower(:external_id) AS is_id,
           CASE WHEN p.title_key = q.title_key THEN 1 + (lower(p.name) = lower(:external_id))::integer
                ELSE 0 END AS is_title, """
_RANKED: Final = f""" LEFT JOIN (
        SELECT p.id, p.document @@ q.complete AS all_words, round(ts_rank(p.document, q.matching)::numeric, 1) AS rank
        FROM q, (SELECT id FROM matched ORDER BY is_id DESC, is_title DESC, purchases DESC, id
                 LIMIT {MAX_RANKED}) AS most
        JOIN products p USING (id)) AS ranked USING (id)"""

# Only fixed fragments of this module replace the names in braces; values are always parameters.
_PAGE: Final = """
WITH {subtrees}{text_query}matched AS MATERIALIZED (
    SELECT {columns}p.id, p.price, p.category_id, p.tags, p.created_at, coalesce(s.purchase_count, 0) AS purchases
    FROM {source}products p LEFT JOIN product_stats s ON s.product_id = p.id
    WHERE p.is_active{conditions}
), page AS (
    SELECT id, row_number() OVER () AS position
    FROM (SELECT id FROM matched{ranked} ORDER BY {order}
          LIMIT cast(:page_size AS bigint) OFFSET cast(:skipped AS bigint)) AS ordered
), bands AS (
    SELECT price_band(price) AS band, count(*) AS products FROM matched GROUP BY 1
)
SELECT (SELECT count(*) FROM matched) AS total,
    coalesce((SELECT json_agg(product_json(p, c.name, s) ORDER BY page.position)
        FROM page JOIN products p USING (id) LEFT JOIN categories c ON c.id = p.category_id
        LEFT JOIN product_stats s ON s.product_id = p.id), '[]')::text AS products,
    json_build_object(
        'categories', coalesce((
            SELECT json_agg(json_build_object('id', c.id, 'name', c.name, 'count', counted.products)
                            ORDER BY counted.products DESC, c.name)
            FROM (SELECT category_id, count(*) AS products FROM matched GROUP BY 1) AS counted
            JOIN categories c ON c.id = counted.category_id), '[]'),
        'price_bands', coalesce((SELECT json_agg(json_build_object(
                'min', (cast(:band_starts AS numeric[]))[band],
                'max', (cast(:band_starts AS numeric[]))[band + 1] - 0.01, 'count', bands.products) ORDER BY band)
            FROM bands), '[]'),
        'tags', coalesce((SELECT json_agg(json_build_object('tag', tag, 'count', products) ORDER BY products DESC, tag)
            FROM (SELECT tag, count(*) AS products FROM (SELECT unnest(tags) AS tag FROM matched) AS each
                  GROUP BY 1 ORDER BY products DESC, tag LIMIT cast(:tag_facets AS integer)) AS counted), '[]')
    )::text AS facets"""


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


@dataclass(frozen=True)
class Page:
    """The part of the sorted products to return: page ``number``, from 1, of at most ``size`` products."""

    number: int = 1
    size: int = 20
    sort: Sort = "relevance"


def _query(filters: Filters, page: Page, search: str, how: Matching) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {name: getattr(filters, name) for name in _FILTERS if name not in ("words", "tags")}
    values["tags"] = list(filters.tags) or None
    parameters = {name: value for name, value in values.items() if value is not None}
    conditions = [_FILTERS[name] for name in parameters]
    order = _ORDERS[page.sort]
    text_query = columns = source = ranked = ""
    if search:
        parameters |= text_parameters(search, how) | {"external_id": filters.search.strip()}
        conditions.append(_FILTERS["words"])
        text_query, source, columns = f"q AS MATERIALIZED ({TEXT_QUERY}), ", "q, ", _TEXT_COLUMNS
        if page.sort == "relevance":
            order, ranked = _RELEVANCE, _RANKED
    sql = _PAGE.format(
        subtrees="".join(_SUBTREES[name] for name in _SUBTREES if name in parameters),
        text_query=text_query,
        columns=columns,
        source=source,
        ranked=ranked,
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


def _browse(filters: Filters, page: Page) -> tuple[str, dict[str, Any]]:
    """Return the statement and parameters of a page without a text and without a filter by tags."""
    values: dict[str, Any] = {name: getattr(filters, name) for name in _FILTERS if name not in ("words", "tags")}
    parameters = {name: value for name, value in values.items() if value is not None}
    prices = [_FILTERS[name] for name in ("min_price", "max_price") if name in parameters]
    conditions = [
        (_FILTERS[name], _COUNTED_FILTERS.get(name, _FILTERS[name]))
        for name in ("category_id", "category", "in_stock")
        if name in parameters
    ]
    subtrees = "".join(_SUBTREES[name] for name in _SUBTREES if name in parameters)
    sql, more = browsing.statement(
        page.sort, subtrees, prices, conditions, PRICE_BANDS, (filters.min_price, filters.max_price)
    )
    skipped = (page.number - 1) * page.size
    parameters |= more | {
        "page_size": page.size,
        "skipped": skipped,
        "band_starts": list(PRICE_BANDS),
        "tag_facets": MAX_TAG_FACETS,
    }
    if ":last_place" in sql:
        parameters["last_place"] = skipped + page.size
    return sql, parameters


def _read_page(filters: Filters, page: Page, search: str, how: Matching = "all") -> tuple[int, str, str]:
    # counts are kept by category, price and stock; a text, or several tags together, need the products themselves
    is_browsing = not search and not filters.tags
    sql, parameters = _browse(filters, page) if is_browsing else _query(filters, page, search, how)
    row = read(sql, **parameters)[0]
    return int(row[0]), row[1], row[2]


def find(filters: Filters, page: Page) -> bytes:
    """Return a page of the active products as the JSON of ``GET /products``.

    A search that matches nothing is repeated: first with each word that the catalog does not know replaced by the
    nearest known word (``corrected_query`` in the answer), then for products with all words but one, then with any.
    """
    search = filters.search.strip()
    corrected = None
    total, products, facets = _read_page(filters, page, search)
    if search and total == 0:
        diagnosis = corrections.diagnose(search)
        any_match = diagnosis.any_match
        if diagnosis.meant != diagnosis.words:
            search = corrected = " ".join(diagnosis.meant)
            total, products, facets = _read_page(filters, page, search)
            any_match = total > 0 or corrections.diagnose(search).any_match
        # a text without spaces may be several words in Japanese
        has_words = len(diagnosis.words) > 1 or not search.isascii()
        steps: tuple[Matching, ...] = ("most", "any") if has_words and not any_match else ()
        for how in steps:
            total, products, facets = _read_page(filters, page, search, how)
            if total:
                break
    return _body(total, products, facets, page, corrected if total else None)


def _body(total: int, products: str, facets: str, page: Page, corrected: str | None) -> bytes:
    tail = f',"corrected_query":{orjson.dumps(corrected).decode()}' if corrected else ""
    return (
        f'{{"products":{products},"total":{total},"page":{page.number},"page_size":{page.size},'
        f'"total_pages":{-(-total // page.size)},"facets":{facets}{tail}}}'
    ).encode()


def total_of(body: bytes) -> int:
    """Return the total of a page that ``find`` returned. Inside of a JSON text the quotes would be escaped."""
    return int(body.rpartition(b'],"total":')[2].partition(b",")[0])
