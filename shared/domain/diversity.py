"""Trading relevance for variety of categories; no I/O."""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")


def diversified(ranked: Sequence[tuple[T, float, Hashable | None]], k: int, diversity: float) -> list[T]:
    """Return ``k`` of the ranked items, chosen one after the other by maximal marginal relevance.

    Each choice maximises (1 − diversity) · relevance − diversity · n/(n + 1), where n counts the items chosen before
    from the same category: the second of a category loses 1/2, the third 2/3, …; ties go to the better ranked.
    Carbonell & Goldstein (SIGIR 1998) take the greatest similarity to what is chosen; for categories
    that is only 0 or 1.

    ``ranked`` are ``(item, score ≥ 0, category)``, best first; an item without a category (None) is like no other.
    Relevance is the score as a share of the best, never more than that of the item before: the order holds where it
    was made by other things than the score. ``diversity`` in [0, 1]: 0 keeps the order. Costs k × categories.
    """
    if diversity <= 0:
        return [item for item, _score, _category in ranked[:k]]
    top = ranked[0][1] if ranked and ranked[0][1] > 0 else 1.0
    relevance = 1.0
    # within a category the better ranked is always chosen first: only the heads compete
    queues: dict[Hashable, deque[tuple[float, int]]] = {}
    for place, (_item, score, category) in enumerate(ranked):
        relevance = min(relevance, score / top)
        queues.setdefault(("none", place) if category is None else ("category", category), deque()).append(
            (relevance, place)
        )
    chosen: list[T] = []
    counts = dict.fromkeys(queues, 0)
    while queues and len(chosen) < k:
        best = max(
            queues,
            key=lambda key: (
                (1 - diversity) * queues[key][0][0] - diversity * counts[key] / (counts[key] + 1),
                -queues[key][0][1],
            ),
        )
        chosen.append(ranked[queues[best].popleft()[1]][0])
        counts[best] += 1
        if not queues[best]:
            del queues[best]
    return chosen
