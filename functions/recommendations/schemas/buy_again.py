"""Request and response models of products to buy again."""

from datetime import datetime

from pydantic import BaseModel, Field

from functions.recommendations.schemas.parameters import Explain, InStockOnly
from functions.recommendations.schemas.ranked_products import RankedProduct
from shared.http import K, UserQuery


class BuyAgainQuery(UserQuery):
    """The parameters of GET /buy-again."""

    k: K = 10
    in_stock: InStockOnly = False
    explain: Explain = False


class BuyAgainProduct(RankedProduct):
    """A product that the user bought and may need again."""

    last_purchased_at: datetime = Field(description="When the user last bought it.")
    purchase_count: int = Field(description="How many times the user bought it.")
    due: bool = Field(description="Whether `due_at` has passed, for a product that shoppers buy again.")
    due_at: datetime = Field(description="The last purchase plus the usual interval between purchases.")


class BuyAgain(BaseModel):
    """Products that the user may need again, most likely first."""

    user_id: str = Field(description="Id of the user.")
    products: list[BuyAgainProduct] = Field(description="The products, most likely first.")
    recommendation_id: str = Field(description="Identifies this answer in POST /recommendations/feedback.")
    generated_at: datetime = Field(description="When the answer was computed.")
