"""The shop's rules for recommendations: the products they select, and their effect on a ranking. No I/O.

A rule selects the products that match all of its criteria: a product, a category with its subcategories, a brand, a
tag, a price range, a discount. ``pin`` puts its product at a position; ``boost`` and ``bury`` multiply scores;
``exclude`` is applied in SQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shared.domain.ranking import Candidate

Kind = Literal["pin", "boost", "bury", "exclude"]
TEXTS: Final[dict[str, str]] = {
    "pin": "Picked by the shop",
    "boost": "Favoured by the shop",
    "bury": "Put back by the shop",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in force. A criterion that is None matches every product.

    ``eligible`` is whether a pinned product passes the request's filters; ``group`` is its variant group.
    """

    id: int
    kind: Kind
    product_id: int | None = None
    categories: Sequence[int] | None = None
    brand: str | None = None
    tag: str | None = None
    price_min: float | None = None
    price_max: float | None = None
    factor: float | None = None
    position: int | None = None
    note: str = ""
    eligible: bool = True
    group: str | None = None
    discount_min: float | None = None

    @property
    def text(self) -> str:
        """The reason to show: the note, or else a default text for the kind of rule."""
        return self.note or TEXTS[self.kind]

    def matches(self, product: Candidate) -> bool:
        """Return whether the rule selects this product."""
        return (
            (self.product_id is None or product.id == self.product_id)
            and (self.categories is None or product.category_id in self.categories)
            and (self.brand is None or product.brand == self.brand)
            and (self.tag is None or self.tag in product.tags)
            and (self.price_min is None or product.price >= self.price_min)
            and (self.price_max is None or product.price <= self.price_max)
            and (self.discount_min is None or product.discount >= self.discount_min)
        )


def applied(rules: Sequence[Rule], candidates: Sequence[Candidate]) -> tuple[dict[int, float], dict[int, Rule]]:
    """Return for each candidate the product of its rules' factors, and the rule whose factor is furthest from 1.

    Both are keyed by product id; candidates that no rule selects are absent.
    """
    factors: dict[int, float] = {}
    reasons: dict[int, Rule] = {}
    for rule in rules:
        if rule.kind not in ("boost", "bury") or rule.factor is None:
            continue
        for candidate in candidates:
            if rule.matches(candidate):
                factors[candidate.id] = factors.get(candidate.id, 1.0) * rule.factor
                strongest = reasons.get(candidate.id)
                if strongest is None or distance(rule.factor) > distance(strongest.factor or 1.0):
                    reasons[candidate.id] = rule
    return factors, reasons


def distance(factor: float) -> float:
    """Return how far a factor is from 1, as a ratio of at least 1: the same for 1/2 as for 2."""
    return max(factor, 1 / factor)


def with_pins(
    ids: Sequence[int], rules: Sequence[Rule], k: int, groups: Mapping[int, str] | None = None
) -> tuple[list[int], dict[int, Rule]]:
    """Return at most ``k`` ids with the pinned ones at their positions, and each pinned product's rule.

    Of two pins at the same position, the older comes first and the other follows it. Of two pins of one product, the
    better position counts. A pin beyond the end of a shorter list comes last; a pin beyond ``k`` is left out.
    ``groups`` is the variant group by product id: a pin replaces the other variants of its product.
    """
    pins: dict[int, Rule] = {}
    pinned_groups: set[str] = set()
    for rule in sorted(rules, key=lambda rule: (rule.position or 0, rule.id)):
        if rule.kind == "pin" and rule.eligible and rule.product_id is not None and (rule.position or 0) <= k:
            if rule.group is not None and rule.group in pinned_groups:
                continue
            pins.setdefault(rule.product_id, rule)
            if rule.group is not None:
                pinned_groups.add(rule.group)
    listed = [
        product_id
        for product_id in ids
        if product_id not in pins and not (groups and groups.get(product_id) in pinned_groups)
    ]
    for product_id, rule in pins.items():
        place = (rule.position or 1) - 1
        # An earlier pin may already occupy this position.
        while place < len(listed) and listed[place] in pins:
            place += 1
        listed.insert(place, product_id)
    return listed[:k], pins
