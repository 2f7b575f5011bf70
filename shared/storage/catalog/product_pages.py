"""Product pages: filters, full-text search, order, total and facets. Postgres builds the JSON."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from shared.clients.postgres import read
from shared.domain import cursors
from shared.domain.cursors import KeyType
from shared.domain.shop import price_bands
from shared.errors import InvalidRequest
from shared.storage.catalog import browsing, corrections
from shared.storage.catalog import page_fragments as fragments
from shared.storage.catalog.text_query import Matching, read_text_query
from shared.storage.operations import shop

Sort = Literal["relevance", "price_asc", "price_desc", "newest", "popular", "distance"]
# Whether a page shows one variant per group or all products.
Variants = Literal["one", "all"]


@dataclass(frozen=True)
class Filters:
    """Validated filters of a product page; None or an empty value does not filter."""

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
    """Which part of the sorted products to return: page ``number``, from 1, of at most ``size`` products.

    If the cursor ``after`` is set, the page starts after it instead.
    """

    number: int = 1
    size: int = 20
    sort: Sort = "relevance"
    after: str | None = None


def _key(order: str) -> list[tuple[str, bool, KeyType]]:
    """Return the columns of a sort order: the expression, whether it is descending, and its type."""
    columns = [(part.split()[0], part.endswith(" DESC")) for part in order.split(", ")]
    return [
        ("coalesce(distance, 'Infinity')" if name == "distance" else name, descends, fragments.KEY_TYPES[name])
        for name, descends in columns
    ]


def _order_of(page: Page, search: str) -> str:
    """Return a page's sort order as SQL."""
    return fragments.RELEVANCE if search and page.sort == "relevance" else fragments.ORDERS[page.sort]


def _page_parameters(page: Page, order: str) -> dict[str, Any]:
    """Return the parameters of a page and its facets. Raises InvalidRequest for a cursor of another list."""
    bands = price_bands(shop.current().currency)
    parameters: dict[str, Any] = {
        "page_size": page.size,
        "skipped": (page.number - 1) * page.size,
        "band_starts": list(bands.starts),
        "band_ends": list(bands.ends),
        "tag_facets": fragments.MAX_TAG_FACETS,
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
    values: dict[str, Any] = {
        name: getattr(filters, name) for name in fragments.FILTERS if name not in ("words", *lists)
    }
    values |= {name: list(getattr(filters, name)) or None for name in lists}
    parameters = {name: value for name, value in values.items() if value is not None}
    order = _order_of(page, search)
    key = _key(order)
    reads_entries = (
        bool(search)
        and fragments.ENTRY_FILTERS.keys() >= parameters.keys()
        and page.sort not in fragments.PRODUCT_SORTS
    )
    conditions = [(fragments.ENTRY_FILTERS if reads_entries else fragments.FILTERS)[name] for name in parameters]
    columns = exact = ""
    rows = "matched"
    if search:
        # Passed as values, so that the planner can estimate how many products match.
        parameters |= read_text_query(search, how) | {"external_id": filters.search.strip()}
        conditions.append(fragments.ENTRY_WORDS if reads_entries else fragments.FILTERS["words"])
        columns = fragments.TEXT_COLUMNS
        exact = "is_id DESC, is_title DESC, "
        if page.sort == "relevance":
            # one more than the page has: whether there is a next page
            is_among_ranked = page.after is None and page.number * page.size < fragments.MAX_RANKED
            rows = fragments.MOST_PURCHASED if is_among_ranked else fragments.RANKED
    product = fragments.PRODUCT
    if filters.latitude is not None:
        parameters |= {"latitude": filters.latitude, "longitude": filters.longitude}
        product = fragments.PRODUCT_WITH_DISTANCE
        if page.sort == "distance":
            columns += f"{fragments.DISTANCE} AS distance, "
    matched, singles = fragments.ALL_VARIANTS, ""
    # A request by ids gets exactly these products, not other variants of theirs.
    if filters.variants == "one" and not filters.external_ids:
        matched = fragments.ONE_VARIANT.format(exact=exact, order=fragments.ORDERS[page.sort])
        singles = fragments.SINGLES
    names = {name for name, _descends, _type in key}
    sql = fragments.PAGE.format(
        subtrees="".join(fragments.SUBTREES[name] for name in fragments.SUBTREES if name in parameters),
        matching=fragments.MATCHING.format(
            products="search_entries" if reads_entries else fragments.PRODUCTS,
            columns=columns,
            conditions="".join(f" AND {part}" for part in conditions),
            more=(fragments.IN_STOCK if singles else "")
            + "".join(fragments.KEY_COLUMNS[name] for name in fragments.KEY_COLUMNS if name in names),
            statistics=fragments.STATISTICS if "purchases" in names else "",
        ),
        matched=matched,
        others=fragments.FURTHER.format(singles_and="item_group_id IS NULL AND " if singles else "")
        + (fragments.GROUPED if singles else ""),
        facts=fragments.FACTS.format(singles=singles),
        further_categories=fragments.FURTHER_CATEGORIES,
        **{name: facet if singles else "" for name, facet in fragments.GROUP_FACETS.items()},
        total=fragments.TOTAL_OF_ONE_VARIANT if singles else fragments.TOTAL,
        rows=rows,
        order=order,
        product=product,
        key=", ".join(column for column, _descends, _type in key),
        after="" if page.after is None else f" WHERE {cursors.after(key)}",
    )
    return sql, parameters | _page_parameters(page, order)


def _can_browse(filters: Filters, page: Page, search: str) -> bool:
    """Return whether the maintained counts suffice for a page, with filters on category, price and stock only.

    A text search, the order by distance and any other filter, such as tags, need the products themselves.
    """
    others = replace(filters, search="", category=None, category_id=None, min_price=None, max_price=None, in_stock=None)
    return not search and page.sort != "distance" and others == Filters(variants=filters.variants)


def _browse(filters: Filters, page: Page) -> tuple[str, dict[str, Any]]:
    """Return the statement and parameters of a page for which ``_can_browse`` is true."""
    names = ("category_id", "category", "min_price", "max_price", "in_stock")
    values: dict[str, Any] = {name: getattr(filters, name) for name in names}
    parameters = {name: value for name, value in values.items() if value is not None}
    prices = [fragments.FILTERS[name] for name in ("min_price", "max_price") if name in parameters]
    conditions = [
        (fragments.FILTERS[name], fragments.COUNTED_FILTERS[name])
        for name in fragments.COUNTED_FILTERS
        if name in parameters
    ]
    subtrees = {
        name: fragments.SUBTREES[parameter]
        for parameter, name in fragments.SUBTREE_NAMES.items()
        if parameter in parameters
    }
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
    parameters |= more | _page_parameters(page, fragments.ORDERS[page.sort])
    if ":last_place" in sql:
        # one more than the page has: whether there is a next page
        parameters["last_place"] = page.number * page.size + 1
    return sql, parameters


def _read_page(filters: Filters, page: Page, search: str, how: Matching = "all") -> tuple[int, str, str, str | None]:
    """Return the total, the products and facets as JSON, and the cursor of the next page."""
    if _can_browse(filters, page, search):
        sql, parameters = _browse(filters, page)
    else:
        sql, parameters = _query(filters, page, search, how)
    row = read(sql, **parameters)[0]
    following = None if row[3] is None else cursors.encode(_order_of(page, search), orjson.loads(row[3]))
    return int(row[0]), row[1], row[2], following


def find(filters: Filters, page: Page) -> bytes:
    """Return a page of the active products as the JSON of ``GET /products``.

    A search that matches nothing is repeated: first with each word unknown to the catalog replaced by the nearest known
    word (``corrected_query`` in the response), then for products with all words but one, then for products with any.
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
        # A text without spaces may be several words, for example in Japanese.
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
    """Return the total of a page that ``find`` returned. No JSON string can match: its quotes would be escaped."""
    return int(body.rpartition(b'],"total":')[2].partition(b",")[0])
