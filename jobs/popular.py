"""Job, every minute: rebuild the live popular ranking, so that an increment Redis missed is corrected in a minute."""

from typing import Any, Final

from shared.errors import Unavailable
from shared.job import Parameters, job
from shared.storage.answers import popular_ranking
from shared.storage.recommending.popular import most_bought

# the most products that an answer shows, with a reserve for filters
PRODUCTS: Final = 200


class Popular(Parameters):
    """No parameters."""


@job
def popular(_parameters: Popular) -> dict[str, Any]:
    """Replace the ranking in Redis by the purchase counts of Postgres.

    Returns the number of products. Raises Unavailable if Redis does not answer.
    """
    rows = most_bought(PRODUCTS)
    if not popular_ranking.replace(rows):
        raise Unavailable("Redis did not accept the popular ranking; the next run, in a minute, tries again.")
    return {"products": len(rows)}
