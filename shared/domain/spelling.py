"""Spelling correction: the edit distance of two words, and the likely correction of a mistyped word."""

from collections.abc import Iterable


def distance(first: str, second: str) -> int:
    """Return the fewest insertions, deletions, substitutions and transpositions from ``first`` to ``second``.

    Optimal string alignment: no letter is edited twice. Takes O(len(first) x len(second)) time.
    """
    previous: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        previous, before_previous, row = row, previous, [i]
        for j, b in enumerate(second, start=1):
            best = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                best = min(best, before_previous[j - 2] + 1)
            row.append(best)
    return row[-1]


def allowed_distance(word: str) -> int:
    """Return the largest distance at which a word of this length still counts as mistyped."""
    return 1 if len(word) <= 4 else 2 if len(word) <= 8 else 3


def correction(word: str, candidates: Iterable[tuple[str, int]], *, partial: bool = False) -> str | None:
    """Return the candidate that ``word`` most likely stands for; None if no candidate is near enough.

    ``candidates`` are ``(word, number of products with it)``. The nearest wins, then a candidate with the same first
    letter, then the most frequent. A ``partial`` word, still being typed, may also be a prefix of a candidate.
    """

    def cost(candidate: str) -> int:
        full = distance(word, candidate)
        if not partial or len(candidate) <= len(word) or len(word) < 3:
            return full
        return min(full, distance(word, candidate[: len(word)]) + (not candidate.startswith(word)))

    ranked = [(cost(other), other[0] != word[0], -products, other) for other, products in candidates if other != word]
    best = min(ranked, default=None)
    return best[3] if best is not None and best[0] <= allowed_distance(word) else None
