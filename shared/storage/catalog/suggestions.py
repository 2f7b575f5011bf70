"""Suggestions while a shopper types: completed queries, categories and products."""

from typing import Any, Final

import orjson

from shared.clients.postgres import read
from shared.storage.catalog import corrections
from shared.storage.catalog.text_query import TEXT_QUERY, text_parameters
from shared.storage.catalog.variants import GROUP_KEY

# Suggestions are chosen from this many of the most purchased matching products.
MAX_MATCHES: Final = 300
# Nearly every product has a word that begins with one or two given letters, even after other words. If the last word
# has at most MAX_SHORT letters, suggestions come from the MAX_POPULAR most purchased products.
MAX_SHORT: Final = 2
MAX_POPULAR: Final = 1000
# Products never bought are left out, so that many matches are joined with few index rows.
_EVERY_PRODUCT: Final = """(
        SELECT p.id, p.document, coalesce(s.purchase_count, 0) AS purchases
        FROM products p
        LEFT JOIN (SELECT product_id, purchase_count FROM product_stats WHERE purchase_count > 0) AS s
        ON s.product_id = p.id
        WHERE p.is_active)"""
# OFFSET 0 makes the planner look these products up by id instead of reading every match.
_POPULAR_PRODUCTS: Final = f"""(
        SELECT p.id, p.document, s.purchase_count AS purchases
        FROM (SELECT product_id, purchase_count FROM product_stats
              ORDER BY purchase_count DESC, product_id LIMIT {MAX_POPULAR}) AS s
        JOIN products p ON p.id = s.product_id WHERE p.is_active OFFSET 0)"""

# Products: name matches first, then the most purchased; one variant per product, in stock if any is. Categories: the
# shortest names first. Words that complete the last word: the most frequent in the catalog or, after other words, in
# the products that match those.
# The operators of text_pattern_ops compare code points: words with the last word as a prefix lie between it and itself
# followed by the highest code point.
_SUGGEST: Final = f"""
WITH text_query AS MATERIALIZED ({TEXT_QUERY}), typed AS MATERIALIZED (
    SELECT words, words[cardinality(words)] AS last, words[1:cardinality(words) - 1] AS completed, shown
    FROM (SELECT string_to_array(search_apart(search_fold(:search)), ' ') AS words,
                 string_to_array(search_apart(search_lower(:search)), ' ') AS shown) AS split
    WHERE cardinality(words) > 0
), matched AS MATERIALIZED (
    SELECT p.id, p.purchases FROM {{products}} AS p
    WHERE p.document @@ (SELECT matching FROM text_query)
    ORDER BY purchases DESC, p.id LIMIT {MAX_MATCHES}
), chosen_products AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY {GROUP_KEY.format(alias="each")}
                                     ORDER BY matches_by_name DESC, in_stock DESC, purchases DESC, id) AS variant
        FROM (SELECT p.id, p.external_id, p.item_group_id, p.name, p.quantity > 0 AS in_stock, m.purchases,
                     ts_filter(p.document, '{{a}}') @@ q.matching AS matches_by_name
              FROM text_query q, matched m JOIN products p USING (id)) AS each
    ) AS of_variants
    WHERE variant = 1 ORDER BY matches_by_name DESC, purchases DESC, id LIMIT cast(:k AS integer)
), chosen_categories AS (
    -- categories of one name are one suggestion, which the filter `category` takes
    SELECT c.leaf AS name FROM text_query q, categories c
    WHERE c.document @@ q.matching
      AND EXISTS (SELECT FROM products p WHERE p.category_id = c.id AND p.is_active)
    GROUP BY c.leaf ORDER BY length(c.leaf), c.leaf LIMIT 3
), completions AS (
    (SELECT w.word, w.shown, w.products FROM typed, search_words w
     WHERE completed = '{{}}' AND w.word ~>=~ last AND w.word ~<~ (last || chr(1114111))
     ORDER BY w.products DESC, w.word LIMIT 3)
    UNION ALL
    (SELECT begun.word, max(w.shown), count(*)
     FROM typed, matched JOIN product_words pw ON pw.product_id = matched.id, unnest(pw.words) AS begun(word)
     LEFT JOIN search_words w ON w.word = begun.word
     WHERE completed <> '{{}}' AND starts_with(begun.word, last) AND begun.word <> ALL (completed)
     GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 3)
)
SELECT json_build_object(
    'typed', (SELECT shown FROM typed),
    'products', (SELECT json_agg(json_build_array(id, external_id, name)
                                 ORDER BY matches_by_name DESC, purchases DESC, id) FROM chosen_products),
    'categories', (SELECT json_agg(name ORDER BY length(name), name) FROM chosen_categories),
    'words', (SELECT json_agg(coalesce(shown, word) ORDER BY products DESC, word) FROM completions))::text"""

# Only fixed fragments of this module replace the name in braces.
SUGGEST: Final = _SUGGEST.replace("{products}", _EVERY_PRODUCT)
SUGGEST_POPULAR: Final = _SUGGEST.replace("{products}", _POPULAR_PRODUCTS)


def _read_matches(search: str, k: int) -> dict[str, Any]:
    """Return ``{typed, products, categories, words}`` for a text; a value without matches is None."""
    parameters = text_parameters(search) | {"k": k}
    last = "".join(search.split()[-1:])
    if len(last) <= MAX_SHORT:
        popular: dict[str, Any] = orjson.loads(read(SUGGEST_POPULAR, **parameters)[0][0])
        if len(popular["products"] or ()) == k:
            return popular
    matches: dict[str, Any] = orjson.loads(read(SUGGEST, **parameters)[0][0])
    return matches


def suggest(text: str, k: int) -> list[dict[str, Any]]:
    """Return up to ``k`` suggestions: queries, then categories, then products.

    Each is ``{text, kind}``; a product also has ``{product_id, external_id}``. If nothing matches, the text is
    corrected, and the corrected text is the first suggestion.
    """
    matches = _read_matches(text, k)
    queries: list[str] = []
    if matches["typed"] and not (matches["products"] or matches["categories"] or matches["words"]):
        diagnosis = corrections.diagnose(text)
        if diagnosis.meant == diagnosis.words:
            return []
        queries = [" ".join(diagnosis.meant)]
        matches = _read_matches(queries[0], k)
    words = matches["typed"] or ()
    queries += [" ".join([*words[:-1], word]) for word in matches["words"] or ()]
    # At most a third are queries and a quarter categories, since most suggestions should be products.
    texts = list(dict.fromkeys(queries))[: max(k // 3, 1)]
    suggestions: list[dict[str, Any]] = [{"text": query, "kind": "query"} for query in texts]
    suggestions += [{"text": name, "kind": "category"} for name in (matches["categories"] or ())[: k // 4]]
    products = [
        {"text": name, "kind": "product", "product_id": product_id, "external_id": external_id}
        for product_id, external_id, name in matches["products"] or ()
    ]
    return (suggestions + products)[:k] if k > 1 else (products or suggestions)[:k]
