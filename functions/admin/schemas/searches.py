"""Request and response models of searches."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from shared.http import CursorPage, CursorPageQuery


class SearchesQuery(CursorPageQuery):
    """A page of searches."""

    days: Annotated[
        int, Field(ge=1, le=400, description="Number of days whose searches are counted, today included.")
    ] = 30
    results: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = Field(
        None, description="Only texts whose last search found this many products; 0 for what the shop does not have."
    )


class CountedSearch(BaseModel):
    """A text that shoppers searched for."""

    query: str = Field(description="The text, in lower case.")
    searches: int = Field(description="How often it was searched for. Each client counts once a day.")
    results: int | None = Field(description="Number of products that the last search found; null if unknown.")
    last_at: datetime = Field(description="When it was last counted.")


class SearchPage(CursorPage):
    """A page of searches, the most frequent first."""

    searches: list[CountedSearch] = Field(description="The searches of this page.")
