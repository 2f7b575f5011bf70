"""Models of a recommended product, which the answers of all kinds have in common."""

from typing import Literal

from pydantic import BaseModel, Field

from shared.domain.product import Product


class Reason(BaseModel):
    """Why a product was recommended.

    `again`: the user viewed or bought it before. `similar`: similar to `product_id`, which the user viewed or bought,
    or which the request names. `next`: users often choose it next after `product_id`. `together`: bought together with
    `product_id`. `taste`: matches the user's preferences. `trending`, `popular`: fills up the answer. `new`: recently
    added. `rule`: moved by the shop's rule `rule_id`.
    """

    kind: Literal["again", "similar", "next", "together", "taste", "trending", "popular", "new", "rule"] = Field(
        description="Kind of reason."
    )
    product_id: int | None = Field(
        description="Id of the product that the reason refers to; null if it refers to none."
    )
    product_name: str | None = Field(description="Name of that product; null if there is none.")
    text: str = Field(description="The reason as a sentence to show.")
    rule_id: int | None = Field(None, description="Id of the shop's rule, if `kind` is `rule`.")


class RankedProduct(Product):
    """A product with its rank and score."""

    score: float = Field(description="Compares products within one answer only.")
    rank: int = Field(description="1 is the best.")
    reason: Reason | None = Field(
        None, description="Why the product was recommended, if the request has `explain=true`."
    )
    distance_km: float | None = Field(
        None,
        description="Distance from `latitude` and `longitude`, if the request has them; null for a product without a "
        "location.",
    )
