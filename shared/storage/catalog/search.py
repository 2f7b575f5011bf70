"""Finding products by what a shopper typed: the text query, corrections, suggestions and the vocabulary behind them."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from shared.clients.postgres import Connection, execute, read
from shared.domain import spelling

# How many near words are weighed for one mistyped word, and for how many words.
CANDIDATES: Final = 20
MAX_CORRECTED: Final = 6
# Of how many of the most bought products that fit, suggestions are chosen.
MAX_WEIGHED: Final = 300

# `:head` are the complete words, `:last` the one that may still be being typed, which counts as a prefix, both stemmed
# and as it is: a prefix may end inside what the stemmer would cut ("decorati"), and be a stop word so far ("on" of
# "onion"), unless other words say enough. `whole` are all words taken as complete, for ranking; `matching` finds.
TEXT_QUERY: Final = """
    SELECT head && last AS whole,
           CASE WHEN any_word THEN head || partial
                WHEN numnode(last) = 0 AND numnode(head) > 0 THEN head ELSE head && partial END AS matching
    FROM (SELECT cast(:any_word AS boolean) AS any_word,
                 to_tsquery('aisle', :head) AS head, to_tsquery('aisle', :last) AS last,
                 CASE WHEN stem = typed THEN stem ELSE stem || typed END AS partial
          FROM to_tsquery('aisle', :last_prefix) AS stem, to_tsquery('simple', :last_prefix) AS typed) AS parts"""

# Which words, taken alone, no product has, and the words near those; and whether the words together fit any product.
# count, not EXISTS: the planner would read the table for the first match, and there mostly is none.
DIAGNOSE: Final = f"""
WITH text_query AS ({TEXT_QUERY}), typed AS (
    SELECT position, word, plainto_tsquery('aisle', word) AS query
    FROM unnest(cast(:words AS text[])) WITH ORDINALITY AS w(word, position)
), unknown AS MATERIALIZED (
    SELECT position, word FROM typed
    WHERE numnode(query) > 0
      AND (SELECT count(*) FROM products p WHERE p.is_active AND p.document @@ query) = 0
    ORDER BY position LIMIT {MAX_CORRECTED}
)
SELECT (SELECT count(*) FROM products p, text_query q WHERE p.is_active AND p.document @@ q.matching) > 0 AS any_match,
       coalesce((SELECT json_agg(json_build_array(u.position, n.word, n.products))
                 FROM unknown u, LATERAL near_words(u.word, {CANDIDATES}) n), '[]')::text AS near"""

# Products that fit, those whose names do first, the most bought first; categories; and completions of the last word:
# the most frequent words of the catalog or, after other words, of the products that have those.
SUGGEST: Final = f"""
WITH text_query AS MATERIALIZED ({TEXT_QUERY}), matched AS MATERIALIZED (
    SELECT p.id, coalesce(s.purchase_count, 0) AS purchases
    FROM text_query q, products p LEFT JOIN product_stats s ON s.product_id = p.id
    WHERE p.is_active AND p.document @@ q.matching
    ORDER BY purchases DESC, p.id LIMIT {MAX_WEIGHED}
), found AS (
    SELECT p.id, p.name, ts_filter(p.document, '{{a}}') @@ q.matching AS named, m.purchases
    FROM text_query q, matched m JOIN products p USING (id)
    ORDER BY named DESC, purchases DESC, id LIMIT cast(:k AS integer)
), kinds AS (
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
    'products', (SELECT json_agg(json_build_array(id, name) ORDER BY named DESC, purchases DESC, id) FROM found),
    'categories', (SELECT json_agg(name ORDER BY length(name), name) FROM kinds),
    'words', (SELECT json_agg(word ORDER BY products DESC, word) FROM completions))::text"""

LOCK_WORDS: Final = "SELECT lock_search_words()"
REFRESH: Final = "SELECT refresh_search_words(cast(:product_ids AS bigint[]))"
# documents that are not what the product and its category say now: after a category was renamed
REFRESH_DOCUMENTS: Final = """
UPDATE products p SET document = ''
FROM (SELECT p.id, product_document(p, c.name) AS document
      FROM products p LEFT JOIN categories c ON c.id = p.category_id
      WHERE p.id = ANY (cast(:product_ids AS bigint[])) ORDER BY p.id FOR NO KEY UPDATE OF p) AS now
WHERE now.id = p.id AND now.document IS DISTINCT FROM p.document
RETURNING p.id"""


def text_parameters(words: Sequence[str], *, any_word: bool = False) -> dict[str, Any]:
    """Return the parameters of TEXT_QUERY for these words (at least one)."""
    head, last = words[:-1], words[-1]
    return {
        "head": spelling.any_of(head) if any_word else spelling.all_of(head),
        "last": spelling.all_of([last]),
        "last_prefix": spelling.prefix(last),
        "any_word": any_word,
    }


def diagnose(words: Sequence[str]) -> tuple[bool, list[str]]:
    """Find out why a search found nothing: whether its words do match some product, and the words it may have meant.

    The second value equals ``words`` when nothing near was found.
    """
    correctable = [word if word.isalpha() and 3 <= len(word) <= 40 else "" for word in words]
    row = read(DIAGNOSE, words=correctable, **text_parameters(words))[0]
    near: dict[int, list[tuple[str, int]]] = {}
    for position, word, products in orjson.loads(row[1]):
        near.setdefault(int(position) - 1, []).append((word, products))
    meant = list(words)
    for position, candidates in near.items():
        better = spelling.correction(words[position], candidates, partial=position == len(words) - 1)
        meant[position] = better or words[position]
    return bool(row[0]), meant


def _suggestions(words: Sequence[str], k: int) -> dict[str, Any]:
    parameters = text_parameters(words)
    found: dict[str, Any] = orjson.loads(
        read(SUGGEST, **parameters, k=k, last_like=words[-1] + "%", completed=list(words[:-1]))[0][0]
    )
    return found


def suggest(text: str, k: int) -> list[dict[str, Any]]:
    """Return up to ``k`` suggestions ``{text, kind, product_id?}``: queries, then categories, then products.

    A text that nothing begins with is corrected first; the corrected text is then the first suggestion.
    """
    words = spelling.words_of(text)
    if not words:
        return []
    found = _suggestions(words, k)
    queries: list[str] = []
    if not any(found.values()):
        _matches, meant = diagnose(words)
        if meant == words:
            return []
        found = _suggestions(meant, k)
        queries, words = [" ".join(meant)], meant
    queries += [" ".join([*words[:-1], word]) for word in found["words"] or ()]
    # at most a third completions and a quarter categories: a shopper came for products
    texts = list(dict.fromkeys(queries))[: max(k // 3, 1)]
    listed: list[dict[str, Any]] = [{"text": query, "kind": "query"} for query in texts]
    listed += [{"text": name, "kind": "category"} for name in (found["categories"] or ())[: k // 4]]
    products = [{"text": name, "kind": "product", "product_id": key} for key, name in found["products"] or ()]
    return (listed + products)[:k] if k > 1 else (products or listed)[:k]


def lock_words(connection: Connection) -> None:
    """Let no other transaction add products until this one ends; to be called before it locks any product."""
    execute(connection, LOCK_WORDS)


def refresh_words(connection: Connection, product_ids: Sequence[int] | None) -> int:
    """Bring the vocabulary up to date for these products (None: for all) and return how many words changed."""
    ids = None if product_ids is None else list(product_ids)
    return int(execute(connection, REFRESH, {"product_ids": ids})[0][0])


def refresh_documents(connection: Connection, product_ids: Sequence[int]) -> int:
    """Rewrite the search documents of these products that are out of date and return how many were."""
    return len(execute(connection, REFRESH_DOCUMENTS, {"product_ids": list(product_ids)}))
