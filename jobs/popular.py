"""Job, every minute: rebuild the live popular ranking, so that an increment Redis missed lives a minute at most."""

from typing import Any, Final

from shared.errors import Unavailable
from shared.job import Parameters, job
from shared.storage.answers import popular_ranking
from shared.storage.recommending.popular import most_bought

# as many as any answer shows, and enough to fill it after filters
PRODUCTS: Final = 200


class Popular(Parameters):
    """Nothing to choose."""


@job
def popular(_parameters: Popular) -> dict[str, Any]:
    """Replace the ranking and its products in Redis by what Postgres counted. Raises Unavailable without Redis."""
    rows = most_bought(PRODUCTS)
    if not popular_ranking.replace(rows):
        raise Unavailable("Redis did not take the popular ranking; the next run brings it.")
    return {"products": len(rows)}
