"""Why a product is in an answer, in words that can be shown."""

from collections.abc import Mapping
from typing import Any, Final

from functions.recommendations.selection import Selection
from shared.domain.formula import BOUGHT_TIER, NEWEST_TIER, SUGGESTED_TIER, TRENDING_TIER, VIEWED_TIER
from shared.storage.recommending.answer_products import Source
from shared.storage.recommending.candidates import CandidateSet

VERBS: Final[Mapping[str, str]] = {
    "view": "viewed",
    "purchase": "bought",
    "add_to_cart": "added",
    "wishlist": "wished for",
}
OTHER_VERB: Final = "looked at"


class Reasons:
    """The reasons of one answer."""

    def __init__(self, found: CandidateSet, selection: Selection) -> None:
        self.selection = selection
        self.tiers = {candidate.id: candidate.tier for candidate in found.candidates}
        self.event_types = {product_id: event_type for product_id, _weight, event_type in found.profile}
        # known products that may be older than the profile
        for candidate in found.candidates:
            if candidate.tier >= VIEWED_TIER:
                self.event_types.setdefault(candidate.id, "purchase" if candidate.tier == BOUGHT_TIER else "view")

    def reason(self, product: dict[str, Any], source: Source | None) -> dict[str, Any]:
        """Return the strongest reason of a product. ``source`` is the product of the profile it is most similar to."""
        product_id = product["id"]
        if (rule := self.selection.rules.get(product_id)) is not None:
            return _reason("rule", rule.text) | {"rule_id": rule.id}
        # known to the user already: that says more than any similar product
        if (event_type := self.event_types.get(product_id)) is not None:
            text = f"You {VERBS.get(event_type, OTHER_VERB)} this before"
            return _reason("again", text, product_id, product["name"])
        if product_id in self.selection.new and self.tiers.get(product_id, NEWEST_TIER) == NEWEST_TIER:
            return _reason("new", "New for you")
        if source is not None:
            verb = VERBS.get(source.event_type, OTHER_VERB)
            return _reason("similar", f"Because you {verb} {source.name}", source.product_id, source.name)
        tier = self.tiers[product_id]
        if tier == SUGGESTED_TIER and product["category"]:
            return _reason("taste", f"Because you like {product['category']}")
        if tier <= TRENDING_TIER:
            return _reason("trending", "Trending now")
        return _reason("popular", "Popular in this shop")


def _reason(kind: str, text: str, product_id: int | None = None, product_name: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "product_id": product_id, "product_name": product_name, "text": text}
