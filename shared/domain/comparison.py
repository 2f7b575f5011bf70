"""Comparison of two recommendation lists: which products moved, were added or were removed. No I/O."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Change = Literal["same", "up", "down", "added", "removed"]


class Place(NamedTuple):
    """A product's position in one list, from 1, its position in the other list, or None, and the kind of change."""

    place: int
    other_place: int | None
    change: Change


class Comparison(NamedTuple):
    """The positions in both lists, each in list order."""

    before: list[Place]
    after: list[Place]


def compare(before: Sequence[int], after: Sequence[int]) -> Comparison:
    """Return the change of each product. Both lists contain distinct ids, best first.

    ``up`` and ``down`` tell how a product moved relative to the others that are in both lists: one that only makes room
    for an added product keeps its order and is ``same``.
    """
    old, new = ({product: place for place, product in enumerate(ids, start=1)} for ids in (before, after))
    order_before = {product: rank for rank, product in enumerate(product for product in before if product in new)}
    order_after = {product: rank for rank, product in enumerate(product for product in after if product in old)}

    def moved(product: int) -> Change:
        if order_before[product] == order_after[product]:
            return "same"
        return "up" if order_after[product] < order_before[product] else "down"

    return Comparison(
        [Place(old[each], new.get(each), moved(each) if each in new else "removed") for each in before],
        [Place(new[each], old.get(each), moved(each) if each in old else "added") for each in after],
    )
