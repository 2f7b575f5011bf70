"""Two answers side by side: which products moved, came or went. No I/O."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Change = Literal["same", "up", "down", "added", "removed"]


class Place(NamedTuple):
    """A product's place in one answer, from 1, its place in the other one, if it is there, and what that means."""

    place: int
    other_place: int | None
    change: Change


class Comparison(NamedTuple):
    """The places of both answers, each in its order."""

    before: list[Place]
    after: list[Place]


def compare(before: Sequence[int], after: Sequence[int]) -> Comparison:
    """Return what became of each product. Both answers are ids, best first, each once.

    ``up`` and ``down`` say how a product moved against the others that both answers have: one that only makes room
    for a product that was added keeps its order and is ``same``.
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
