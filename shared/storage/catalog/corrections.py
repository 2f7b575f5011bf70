"""Corrections of a search without results: which words no product has, and the words that were probably meant."""

from collections.abc import Sequence
from typing import Final

import orjson

from shared.clients.postgres import read
from shared.domain import spelling
from shared.storage.catalog.text_query import TEXT_QUERY, text_parameters

# Near words compared with each mistyped word, and the mistyped words that are corrected in one search.
MAX_NEAR_WORDS: Final = 20
MAX_CORRECTED_WORDS: Final = 6

# Whether any product matches all words together, and the words near each word that, by itself, no product has.
# count(*) instead of EXISTS: for EXISTS the planner reads the table in the hope of an early match, and here there is
# mostly none.
DIAGNOSE: Final = f"""
WITH text_query AS ({TEXT_QUERY}), typed AS (
    SELECT position, word, plainto_tsquery('aisle', word) AS query
    FROM unnest(cast(:words AS text[])) WITH ORDINALITY AS w(word, position)
), unknown AS MATERIALIZED (
    SELECT position, word FROM typed
    WHERE numnode(query) > 0
      AND (SELECT count(*) FROM products p WHERE p.is_active AND p.document @@ query) = 0
    ORDER BY position LIMIT {MAX_CORRECTED_WORDS}
)
SELECT (SELECT count(*) FROM products p, text_query q WHERE p.is_active AND p.document @@ q.matching) > 0 AS any_match,
       coalesce((SELECT json_agg(json_build_array(u.position, n.word, n.products))
                 FROM unknown u, LATERAL near_words(u.word, {MAX_NEAR_WORDS}) n), '[]')::text AS near"""


def diagnose(words: Sequence[str]) -> tuple[bool, list[str]]:
    """Return whether any product matches all ``words``, and the words that were probably meant.

    The second value equals ``words`` if no word has a likely correction.
    """
    correctable = [word if word.isalpha() and 3 <= len(word) <= 40 else "" for word in words]
    any_match, near = read(DIAGNOSE, words=correctable, **text_parameters(words))[0]
    candidates: dict[int, list[tuple[str, int]]] = {}
    for position, word, products in orjson.loads(near):
        candidates.setdefault(int(position) - 1, []).append((word, products))
    meant = list(words)
    for position, near_words in candidates.items():
        # the last word may still be typed, so it may also be the beginning of a word
        correction = spelling.correction(words[position], near_words, partial=position == len(words) - 1)
        meant[position] = correction or words[position]
    return bool(any_match), meant
