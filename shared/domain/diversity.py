"""Diversification: trading relevance for a variety of categories. No I/O."""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")


def diversify(ranked: Sequence[tuple[T, float, Hashable | None]], k: int, diversity: float) -> list[T]:
    """Return ``k`` of the ranked items, selected one by one by maximal marginal relevance.

    Each step selects the item with the greatest (1 − diversity) · relevance − diversity · n / (n + 1), where n is the
    number of items already selected from its category. The second item of a category loses 1/2, the third 2/3, and so
    on. Ties go to the better ranked item. Carbonell & Goldstein (SIGIR 1998) subtract the greatest similarity to a
    selected item, which for categories is only 0 or 1.

    ``ranked`` holds ``(item, score ≥ 0, category)``, best first. An item without a category (None) resembles no other.
    Relevance is the score divided by the best score, and at most the relevance of the item before, so that an order
    not based on scores is kept too. ``diversity`` is in [0, 1]; 0 keeps the order. Time is proportional to
    k × categories.
    """
    if diversity <= 0:
        return [item for item, _score, _category in ranked[:k]]
    top = ranked[0][1] if ranked and ranked[0][1] > 0 else 1.0
    relevance = 1.0
    # Within a category the better ranked item is always selected first, so only the heads of the queues compete.
    queues: dict[Hashable, deque[tuple[float, int]]] = {}
    for position, (_item, score, category) in enumerate(ranked):
        relevance = min(relevance, score / top)
        queues.setdefault(("none", position) if category is None else ("category", category), deque()).append(
            (relevance, position)
        )
    selected: list[T] = []
    counts = dict.fromkeys(queues, 0)
    while queues and len(selected) < k:
        best = max(
            queues,
            key=lambda key: (
                (1 - diversity) * queues[key][0][0] - diversity * counts[key] / (counts[key] + 1),
                -queues[key][0][1],
            ),
        )
        selected.append(ranked[queues[best].popleft()[1]][0])
        counts[best] += 1
        if not queues[best]:
            del queues[best]
    return selected
