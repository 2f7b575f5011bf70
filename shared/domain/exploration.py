"""Exploration: positions reserved for new products, which would otherwise never get any events. No I/O."""

import math
from collections.abc import Sequence


def count_reserved(share: float, k: int) -> int:
    """Return how many of ``k`` positions are reserved for new products."""
    # The margin absorbs floating-point error: 10 · 0.3 must be 3 positions.
    return int(k * share + 1e-9)


def insert_new(ids: Sequence[int], new: Sequence[int], share: float, k: int) -> list[int]:
    """Return at most ``k`` ids in which every (1/share)-th position holds a product of ``new``, in their order.

    The first such position is 1/share, rounded up, so that the best products stay first. A product of ``new`` that is
    already among the first ``k`` ids keeps its position. If ``new`` is too short, the other products move up.
    ``share`` is in [0, 0.5]; 0 inserts nothing.
    """
    positions = [math.ceil(number / share - 1e-9) for number in range(1, count_reserved(share, k) + 1)]
    listed = list(ids[:k])
    to_insert = [product_id for product_id in dict.fromkeys(new) if product_id not in listed]
    for position, product_id in zip(positions, to_insert, strict=False):
        listed.insert(position - 1, product_id)
    return listed[:k]
