"""The full-text query that the words of a search become."""

from collections.abc import Sequence
from typing import Any, Final

from shared.domain import spelling

# `:head` holds the complete words, `:last` the word that may still be typed. The last word counts as a prefix, both
# stemmed and as typed: a prefix may end inside a suffix that the stemmer would cut ("decorati"), and it may be a stop
# word so far ("on" of "onion"), unless the other words say enough.
# Returns two tsquery columns: `matching` decides which products match, `all_words` takes every word as complete and
# ranks them.
TEXT_QUERY: Final = """
    SELECT head && last AS all_words,
           CASE WHEN any_word THEN head || partial
                WHEN numnode(last) = 0 AND numnode(head) > 0 THEN head ELSE head && partial END AS matching
    FROM (SELECT cast(:any_word AS boolean) AS any_word,
                 to_tsquery('aisle', :head) AS head, to_tsquery('aisle', :last) AS last,
                 CASE WHEN stem = typed THEN stem ELSE stem || typed END AS partial
          FROM to_tsquery('aisle', :last_prefix) AS stem, to_tsquery('simple', :last_prefix) AS typed) AS parts"""


def text_parameters(words: Sequence[str], *, any_word: bool = False) -> dict[str, Any]:
    """Return the parameters of TEXT_QUERY for at least one word; ``any_word`` matches products with any of them."""
    head, last = words[:-1], words[-1]
    return {
        "head": spelling.any_of(head) if any_word else spelling.all_of(head),
        "last": spelling.all_of([last]),
        "last_prefix": spelling.prefix(last),
        "any_word": any_word,
    }
