"""Request and response models of the preview."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from shared.domain.events import ProductId, StoredUserId
from shared.domain.formula import RECENT_MINUTES, Repeats
from shared.http import K, Query
from shared.http.parameters import id_list

MAX_RECENT = 50


class PreviewQuery(Query):
    """Whose recommendations to explain, and with which parameters of GET /recommendations."""

    max_recent: ClassVar[int] = MAX_RECENT

    user_id: StoredUserId | None = Field(
        None,
        description="Id of the user. If omitted, a new visitor with the session that the other parameters describe.",
    )
    k: K = 10
    product_id: ProductId | None = Field(None, description="The product that the user is looking at.")
    recent: Annotated[str, id_list(MAX_RECENT)] = Field(
        "",
        description=f"Ids of products viewed in this session, newest first, separated by commas; at most {MAX_RECENT}.",
    )
    in_stock: bool | None = Field(
        None,
        description="`true` returns only products in stock. If omitted, products in stock come first. `false` ignores "
        "stock.",
    )
    repeats: Repeats = Field(
        "exclude", description="Which of the products that the user knows are returned, as in GET /recommendations."
    )
    diversity: float = Field(
        0, ge=0, le=1, allow_inf_nan=False, description="Trades relevance for variety, as in GET /recommendations."
    )


class PreviewedProduct(BaseModel):
    """The fields of a product that a preview shows."""

    id: int = Field(description="Id of the product.")
    external_id: str = Field(description="The shop's own id of the product.")
    name: str = Field(description="Name of the product.")
    category_path: str | None = Field(description="Path of its category; null if it has none.")
    price: float = Field(description="Price.")
    quantity: int = Field(description="Pieces in stock.")
    is_active: bool = Field(description="Whether shoppers see it.")
    item_group_id: str | None = Field(description="Id of its group of variants; null if it is in none.")


class ScoreParts(BaseModel):
    """What a score consists of: (`profile` + `taste` + `trend`) · `nearness` · `rules`."""

    profile: float = Field(description="Term of the products of the profile: their neighbours in the model.")
    taste: float = Field(description="Term of the fit to the user's categories, brands, tags and prices.")
    trend: float = Field(description="Term of the trend.")
    nearness: float = Field(description="Factor for the distance to the user; 1 if either location is unknown.")
    rules: float = Field(description="Product of the factors of the shop's rules; 1 without any.")


class ProfileProduct(BaseModel):
    """A product of a user's profile."""

    product_id: int = Field(description="Id of the product.")
    name: str | None = Field(description="Name of the product; null if it was deleted.")
    weight: float = Field(description="Weight in the profile.")
    event_type: str = Field(description="The user's event with this product that has the greatest weight.")


class TasteEntry(BaseModel):
    """A preference of a user."""

    kind: Literal["category", "brand", "tag"] = Field(description="Kind of the preference.")
    key: str = Field(description="Id of the category, or the brand or tag.")
    name: str = Field(description="Path of the category, or the brand or tag.")
    weight: float = Field(description="What it adds to the affinity of a product that has it.")


class PreviewRule(BaseModel):
    """A rule in force for the user. Rules that exclude products show in the reasons of the products."""

    id: int = Field(description="Id of the rule.")
    kind: Literal["pin", "boost", "bury"] = Field(description="Kind of the rule.")
    text: str = Field(description="Its note, or else a text of the kind.")
    factor: float | None = Field(description="Factor of a boost or bury.")
    position: int | None = Field(description="Position of a pin.")


class Source(BaseModel):
    """A product of the profile that the model considers similar to a candidate."""

    product_id: int = Field(description="Id of the product.")
    name: str | None = Field(description="Name of the product; null if it was deleted.")
    part: float = Field(description="What it adds to the collaborative score.")


Reason = Literal[
    "pinned",
    "new",
    "below_cut",
    "sold_out",
    "variant",
    "excluded",
    "rule",
    "hidden",
    "bought",
    "viewed",
    "unmet",
    "category",
]


class PreviewCandidate(BaseModel):
    """A product that may be recommended, and what became of it."""

    product: PreviewedProduct = Field(description="The product.")
    place: int | None = Field(description="Place in the answer, from 1; null if it is not in it.")
    place_without_rules: int | None = Field(
        description="Place in the answer if the shop had no rules that move products; null if it were not in it."
    )
    verdict: Literal["in", "out"] = Field(description="Whether the answer has it.")
    reasons: list[Reason] = Field(
        description="Why. In the answer: `pinned` by a rule, or `new` on a place for new products. Not in it: "
        "`below_cut`, since others are better; `sold_out`; `variant` of a product that is shown or known; `excluded` "
        f"by the request; `rule` that excludes it; `hidden`; `bought`; `viewed` in the last {RECENT_MINUTES} minutes, "
        "or ever where the model leaves out what was seen; `unmet`, since the request wants known products."
    )
    origin: (
        Literal[
            "model",
            "content",
            "taste",
            "trending",
            "popular",
            "newest",
            "viewed_before",
            "bought_before",
            "new",
            "rule",
        ]
        | None
    ) = Field(
        description="What suggested it: neighbours in the model, similar content, the taste; a list that fills the "
        "answer; a known product that returns; a new product; a rule. Null for a product that was left out."
    )
    score: float | None = Field(description="Score that ranks it; null if it was not ranked.")
    parts: ScoreParts | None = Field(description="What the score consists of; null if it was not ranked.")
    collaborative_score: float = Field(description="Sum over the profile of weight times similarity.")
    sources: list[Source] = Field(description="Up to three products of the profile that add most to that sum.")
    rules: list[PreviewRule] = Field(description="Rules that move it.")


class Preview(BaseModel):
    """The recommendations of a user or a session, explained."""

    user_id: str | None = Field(description="Id of the user; null for a new visitor.")
    strategy: Literal["personalized", "trending", "cold_start_category"] = Field(
        description="How the products are chosen."
    )
    model_version: int | None = Field(description="Model version; null if no model is active.")
    algorithm: str | None = Field(description="Algorithm of that version; null without one.")
    formula: dict[str, Any] = Field(
        description="Parameters of the serving formula; docs/architecture.md explains them."
    )
    profile: list[ProfileProduct] = Field(description="The user's profile, the product with the greatest weight first.")
    taste: list[TasteEntry] = Field(description="The user's taste, by preferences or profile, the strongest first.")
    rules: list[PreviewRule] = Field(description="Rules in force for the user that move products.")
    candidates: list[PreviewCandidate] = Field(
        description="The answer in its order, then the other candidates by rank, then products that were left out."
    )
