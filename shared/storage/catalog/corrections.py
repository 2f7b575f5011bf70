"""Spelling correction for searches without results: which words no product has, and what was probably meant."""

from dataclasses import dataclass
from typing import Final

import orjson

from shared.clients.postgres import read
from shared.domain import spelling
from shared.storage.catalog.text_query import TEXT_QUERY, text_parameters

# Maximum near words compared with each mistyped word, and maximum mistyped words corrected per search.
MAX_NEAR_WORDS: Final = 20
MAX_CORRECTED_WORDS: Final = 6

# Whether any product matches all words together, and near words for each word that no product contains.
# count(*) instead of EXISTS: for EXISTS the planner scans the table expecting an early match, and here there is usually
# none.
DIAGNOSE: Final = f"""
WITH text_query AS MATERIALIZED ({TEXT_QUERY}), typed AS MATERIALIZED (
    SELECT position, word
    FROM regexp_split_to_table(search_apart(search_fold(:search)), ' ') WITH ORDINALITY AS split(word, position)
    WHERE word <> ''
), asked AS MATERIALIZED (
    SELECT position, word, search_word_query((SELECT languages[1] FROM shop), word, false) AS query
    FROM typed WHERE length(word) BETWEEN 3 AND 40 AND word !~ '[0-9]'
      AND NOT EXISTS (SELECT FROM search_words known WHERE known.word = typed.word)
), unknown AS MATERIALIZED (
    SELECT position, word FROM asked
    WHERE (SELECT count(*) FROM products p WHERE p.is_active AND p.document @@ asked.query) = 0
    ORDER BY position LIMIT {MAX_CORRECTED_WORDS}
)
SELECT (SELECT count(*) FROM products p, text_query q WHERE p.is_active AND p.document @@ q.matching) > 0 AS any_match,
       coalesce((SELECT json_agg(word ORDER BY position) FROM typed), '[]')::text AS words,
       coalesce((SELECT json_agg(json_build_array(u.position, n.word, n.products, w.shown))
                 FROM unknown u, LATERAL near_words(u.word, {MAX_NEAR_WORDS}) n
                 JOIN search_words w USING (word)), '[]')::text AS near"""


@dataclass(frozen=True)
class Diagnosis:
    """Why a search found nothing: its words, and the words that were probably meant (the same if none is mistyped).

    ``any_match`` : whether any product matches all words, so that the filters excluded every match.
    """

    any_match: bool
    words: list[str]
    meant: list[str]


def diagnose(search: str) -> Diagnosis:
    """Return why a search found nothing, and which words were probably meant."""
    any_match, typed, near = read(DIAGNOSE, **text_parameters(search))[0]
    words: list[str] = orjson.loads(typed)
    candidates: dict[int, list[tuple[str, int]]] = {}
    shown: dict[str, str] = {}
    for position, word, products, with_marks in orjson.loads(near):
        candidates.setdefault(int(position) - 1, []).append((word, products))
        shown[word] = with_marks or word
    meant = list(words)
    for position, near_words in candidates.items():
        # The last word may still be incomplete, so it may be a prefix.
        correction = spelling.correction(words[position], near_words, partial=position == len(words) - 1)
        if correction is not None:
            meant[position] = shown[correction]
    return Diagnosis(bool(any_match), words, meant)
