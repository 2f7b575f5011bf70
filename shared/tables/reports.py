"""Rows that were left out: how many, why, and where the first of them are."""

from collections import Counter
from typing import Any, Final

FIRST_ROWS: Final = 5
MAX_REASONS: Final = 100


class LeftOut:
    """Counts rows by reason. A reason ``kind: value`` counts as its kind; the first value is its example."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, list[int]] = {}
        self._examples: dict[str, str] = {}

    def add(self, row: int, reason: str) -> None:
        """Count a row by its reason."""
        kind, separator, value = reason.partition(": ")
        if kind not in self.counts and len(self.counts) >= MAX_REASONS:
            kind = "other reasons"
        self.counts[kind] += 1
        if self.counts[kind] <= FIRST_ROWS:
            self._first.setdefault(kind, []).append(row)
        if separator:
            self._examples.setdefault(kind, value[:100])

    def summary(self) -> list[dict[str, Any]]:
        """Return ``{reason, count, rows, example}`` of each reason, the most frequent first.

        ``rows`` are the first five in the file's order; ``example`` is there only for reasons that name a value.
        """
        return [
            {"reason": kind, "count": count, "rows": sorted(self._first[kind])}
            | ({"example": self._examples[kind]} if kind in self._examples else {})
            for kind, count in self.counts.most_common()
        ]

    def sentence(self) -> str:
        """Return all reasons in one line."""
        return "; ".join(
            f"{entry['reason']}{' (' + entry['example'] + ')' if 'example' in entry else ''}: "
            f"{entry['count']} {'row' if entry['count'] == 1 else 'rows'}, the first in row {entry['rows'][0]}"
            for entry in self.summary()
        )
