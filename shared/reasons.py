"""The reasons why a product is in an answer, as texts to show to shoppers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from shared.domain.formula import BOUGHT_TIER, NEWEST_TIER, SUGGESTED_TIER, TRENDING_TIER, VIEWED_TIER
from shared.domain.replenishment import regular_days
from shared.selection import Selection
from shared.storage.recommending.answer_products import Source
from shared.storage.recommending.bought_together import TogetherProduct
from shared.storage.recommending.buy_again import Repurchase
from shared.storage.recommending.candidates import CandidateSet
from shared.storage.recommending.similar_products import Neighbour

# What a user did with a product, by event type; {} is the product.
DEEDS: Final[Mapping[str, str]] = {
    "view": "you viewed {}",
    "purchase": "you bought {}",
    "add_to_cart": "you had {} in your cart",
    "wishlist": "you put {} on your wishlist",
}
OTHER_DEED: Final = "you looked at {}"
# The algorithm whose neighbours are what users interacted with next, rather than what is similar.
SEQUENTIAL: Final = "transitions"
# Minimum number of users or sessions for "often": the same as for products bought together.
OFTEN_MIN: Final = 3
# A product last bought more than this many of the user's usual intervals ago is no longer bought at that interval.
OVERDUE_RATIO: Final = 2.0


class Reasons:
    """The reasons of one answer."""

    def __init__(self, found: CandidateSet, selection: Selection) -> None:
        self.selection = selection
        self.is_sequential = found.algorithm == SEQUENTIAL
        self.tiers = {candidate.id: candidate.tier for candidate in found.candidates}
        self.liked_categories = found.taste.scores.get("category", {})
        self.event_types = {product_id: event_type for product_id, _weight, event_type in found.profile}
        # Known products that may be older than the profile.
        for candidate in found.candidates:
            if candidate.tier >= VIEWED_TIER:
                self.event_types.setdefault(candidate.id, "purchase" if candidate.tier == BOUGHT_TIER else "view")

    def reason(self, product: dict[str, Any], source: Source | None) -> dict[str, Any]:
        """Return a product's strongest reason. ``source`` is the profile product to which it is most similar."""
        product_id = product["id"]
        if (rule := self.selection.rules.get(product_id)) is not None:
            return _reason("rule", rule.text) | {"rule_id": rule.id}
        # Already known to the user, which is a stronger reason than any similar product.
        if (event_type := self.event_types.get(product_id)) is not None:
            deed = DEEDS.get(event_type, OTHER_DEED).format("this")
            return _reason("again", f"{deed.capitalize()} before", product_id, product["name"])
        if product_id in self.selection.new and self.tiers.get(product_id, NEWEST_TIER) == NEWEST_TIER:
            return _reason("new", "New for you")
        if source is not None and source.co_occurrence is not None and self.is_sequential:
            return _next_reason(source.product_id, source.name, source.co_occurrence)
        if source is not None:
            deed = DEEDS.get(source.event_type, OTHER_DEED).format(source.name)
            return _reason("similar", f"Because {deed}", source.product_id, source.name)
        tier = self.tiers[product_id]
        fits_taste = tier == NEWEST_TIER and str(product["category_id"]) in self.liked_categories
        if (tier == SUGGESTED_TIER or fits_taste) and product["category"]:
            return _reason("taste", f"Because you like {product['category']}")
        if tier <= TRENDING_TIER:
            return _reason("trending", "Trending now")
        if tier == NEWEST_TIER:
            return _reason("new", "New in this shop")
        return _reason("popular", "Popular in this shop")


def similar_reason(product_id: int, neighbour: Neighbour) -> dict[str, Any]:
    """Return why a product is among the products similar to ``product_id``."""
    name, category = neighbour.name, neighbour.product["category"]
    if neighbour.source == "trending":
        return _reason("trending", f"Trending in {category}" if category else "Trending now")
    if neighbour.source == "content":
        return _reason("similar", f"Similar to {name}", product_id, name)
    if neighbour.algorithm == SEQUENTIAL:
        return _next_reason(product_id, name, neighbour.co_occurrence)
    others = "Others" if neighbour.co_occurrence > 1 else "Somebody"
    return _reason("similar", f"{others} who liked {name} liked this too", product_id, name)


def together_reason(found: TogetherProduct) -> dict[str, Any]:
    """Return why a product is among those bought together with others."""
    return _reason("together", f"Often bought with {found.source_name}", found.source_id, found.source_name)


def purchase_reason(repurchase: Repurchase, now: datetime) -> dict[str, Any]:
    """Return why a product is among those to buy again.

    The interval is mentioned only if it explains the product: the user's own purchases are regular, and the next one is
    not long overdue.
    """
    text = "You bought this before"
    if repurchase.purchase_count > 1:
        text = f"You bought this {repurchase.purchase_count} times"
    usual_days = regular_days(repurchase.own_quartiles)
    days = (now - repurchase.last_purchased_at).days
    if usual_days is not None and 0 < days <= OVERDUE_RATIO * usual_days:
        text = f"You usually buy this every {_interval(round(usual_days))}, last {_age(days)} ago"
    return _reason("again", text, repurchase.product["id"], repurchase.product["name"])


def _interval(days: int) -> str:
    """Return an interval in days as text to follow "every"."""
    return "day" if days <= 1 else f"{days} days"


def _age(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _next_reason(product_id: int, name: str, co_occurrence: int) -> dict[str, Any]:
    """Return the reason for a neighbour from a sequential model.

    The lines of one order have no sequence, and what came just before counts a little too; "with or after" is true in
    all cases.
    """
    often = "Often chosen" if co_occurrence >= OFTEN_MIN else "Chosen"
    return _reason("next", f"{often} with or after {name}", product_id, name)


def _reason(kind: str, text: str, product_id: int | None = None, product_name: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "product_id": product_id, "product_name": product_name, "text": text}
