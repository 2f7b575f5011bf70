"""Suggestions while a shopper types: completed queries, categories and products."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from shared.clients.postgres import read
from shared.domain import spelling
from shared.storage.catalog import corrections
from shared.storage.catalog.text_query import TEXT_QUERY, text_parameters

# Suggestions are chosen among this many matching products, the most purchased ones.
MAX_MATCHES: Final = 300

# Products: those that match by name first, then the most purchased. Categories: the shortest names first. Words that
# complete the last word: the most frequent in the catalog or, after other words, in the products that match those.
SUGGEST: Final = f"""
WITH text_query AS MATERIALIZED ({TEXT_QUERY}), matched AS MATERIALIZED (
    SELECT p.id, coalesce(s.purchase_count, 0) AS purchases
    FROM text_query q, products p LEFT JOIN product_stats s ON s.product_id = p.id
    WHERE p.is_active AND p.document @@ q.matching
    ORDER BY purchases DESC, p.id LIMIT {MAX_MATCHES}
), chosen_products AS (
    SELECT p.id, p.name, ts_filter(p.document, '{{a}}') @@ q.matching AS matches_by_name, m.purchases
    FROM text_query q, matched m JOIN products p USING (id)
    ORDER BY matches_by_name DESC, purchases DESC, id LIMIT cast(:k AS integer)
), chosen_categories AS (
    SELECT c.id, c.name FROM text_query q, categories c
    WHERE to_tsvector('aisle', c.name) @@ q.matching
      AND EXISTS (SELECT FROM products p WHERE p.category_id = c.id AND p.is_active)
    ORDER BY length(c.name), c.name LIMIT 3
), completions AS (
    (SELECT word, products FROM search_words
     WHERE cardinality(cast(:completed AS text[])) = 0 AND word LIKE :last_like ORDER BY products DESC, word LIMIT 3)
    UNION ALL
    (SELECT word, count(*) FROM matched JOIN product_words ON product_id = matched.id, unnest(words) AS word
     WHERE cardinality(cast(:completed AS text[])) > 0 AND word LIKE :last_like
       AND word <> ALL (cast(:completed AS text[]))
     GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3)
)
SELECT json_build_object(
    'products', (SELECT json_agg(json_build_array(id, name) ORDER BY matches_by_name DESC, purchases DESC, id)
                 FROM chosen_products),
    'categories', (SELECT json_agg(name ORDER BY length(name), name) FROM chosen_categories),
    'words', (SELECT json_agg(word ORDER BY products DESC, word) FROM completions))::text"""


def _read_matches(words: Sequence[str], k: int) -> dict[str, Any]:
    """Return ``{products, categories, words}`` for these words; a value without matches is None."""
    row = read(SUGGEST, **text_parameters(words), k=k, last_like=words[-1] + "%", completed=list(words[:-1]))[0]
    matches: dict[str, Any] = orjson.loads(row[0])
    return matches


def suggest(text: str, k: int) -> list[dict[str, Any]]:
    """Return up to ``k`` suggestions ``{text, kind, product_id?}``: queries, then categories, then products.

    If nothing matches, the text is corrected first, and the corrected text is the first suggestion.
    """
    words = spelling.words_of(text)
    if not words:
        return []
    matches = _read_matches(words, k)
    queries: list[str] = []
    if not any(matches.values()):
        _any_match, meant = corrections.diagnose(words)
        if meant == words:
            return []
        matches = _read_matches(meant, k)
        queries, words = [" ".join(meant)], meant
    queries += [" ".join([*words[:-1], word]) for word in matches["words"] or ()]
    # at most a third queries and a quarter categories: most suggestions should be products
    texts = list(dict.fromkeys(queries))[: max(k // 3, 1)]
    suggestions: list[dict[str, Any]] = [{"text": query, "kind": "query"} for query in texts]
    suggestions += [{"text": name, "kind": "category"} for name in (matches["categories"] or ())[: k // 4]]
    products = [
        {"text": name, "kind": "product", "product_id": product_id} for product_id, name in matches["products"] or ()
    ]
    return (suggestions + products)[:k] if k > 1 else (products or suggestions)[:k]
