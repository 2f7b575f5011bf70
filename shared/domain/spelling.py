"""What a shopper typed: its words, and the word that a mistyped one most likely stands for."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

# words beyond this many add nothing to a search but cost
MAX_WORDS: Final = 16

# a number with its fraction is one word, as it is for Postgres' parser; an apostrophe's "s" is none
_WORD: Final = re.compile(r"\d+(?:\.\d+)+|[^\W_]+")
_POSSESSIVE: Final = re.compile(r"(?<=\w)['’]s\b")


def words_of(text: str) -> list[str]:
    """Return the words of ``text``: lower case, without accents and punctuation, at most MAX_WORDS."""
    lower = _POSSESSIVE.sub("", text.lower())
    plain = "".join(c for c in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(c))
    return _WORD.findall(plain)[:MAX_WORDS]


def distance(one: str, other: str) -> int:
    """Return how many insertions, deletions, substitutions and swaps of neighbours turn ``one`` into ``other``.

    Optimal string alignment: no letter is touched twice. O(len(one) x len(other)).
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


def allowed_distance(word: str) -> int:
    """Return how many mistakes are believable in a word of this length."""
    return 1 if len(word) <= 4 else 2 if len(word) <= 8 else 3


def correction(word: str, candidates: Iterable[tuple[str, int]], *, partial: bool = False) -> str | None:
    """Return the candidate that ``word`` most likely stands for, or None when none is near enough.

    ``candidates`` are ``(word, products that have it)``. The nearest counts, then the one with the same first letter,
    then the most frequent. A ``partial`` word, still being typed, may also be the beginning of a candidate.
    """

    def cost(candidate: str) -> int:
        whole = distance(word, candidate)
        if not partial or len(candidate) <= len(word) or len(word) < 3:
            return whole
        return min(whole, distance(word, candidate[: len(word)]) + (not candidate.startswith(word)))

    ranked = [(cost(other), other[0] != word[0], -products, other) for other, products in candidates if other != word]
    best = min(ranked, default=None)
    return best[3] if best is not None and best[0] <= allowed_distance(word) else None


def _quoted(word: str) -> str:
    # words are letters, digits and dots: nothing in them ends the quote
    return f"'{word}'"


def all_of(words: Sequence[str]) -> str:
    """Return the tsquery text that asks for every word."""
    return " & ".join(map(_quoted, words))


def any_of(words: Sequence[str]) -> str:
    """Return the tsquery text that asks for at least one of the words."""
    return " | ".join(map(_quoted, words))


def prefix(word: str) -> str:
    """Return the tsquery text that asks for a word that begins with ``word``."""
    return f"{_quoted(word)}:*" if word else ""
