"""A share of places for new products: nobody can want what nobody is shown. No I/O."""

import math
from collections.abc import Sequence


def with_new(ids: Sequence[int], new: Sequence[int], share: float, k: int) -> list[int]:
    """Return at most ``k`` ids in which every (1/share)-th place belongs to a product of ``new``, in their order.

    The first place so given is the (1/share)-th, rounded up: what fits best stays first. What is in ``ids`` already is
    not shown twice: it keeps the better of its places. Where ``new`` runs out, the rest closes up.
    """
    many = int(k * share + 1e-9)
    places = [math.ceil(number / share - 1e-9) for number in range(1, many + 1)]
    listed = list(ids[:k])
    waiting = [one for one in dict.fromkeys(new) if one not in listed]
    for place, one in zip(places, waiting, strict=False):
        listed.insert(place - 1, one)
    return listed[:k]
