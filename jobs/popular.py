"""Job, every minute: rebuild the live popular ranking, and drop cached answers, in case Redis missed a change."""

from typing import Any, Final

from shared.errors import Unavailable
from shared.job import Parameters, job
from shared.storage.answers import invalidation, popular_ranking
from shared.storage.recommending.popular import most_bought

# the most products that an answer shows, with a reserve for filters
PRODUCTS: Final = 200


class Popular(Parameters):
    """No parameters."""


@job
def popular(_parameters: Popular) -> dict[str, Any]:
    """Replace the ranking in Redis by the purchase counts in Postgres.

    Also flushes the scopes of cached answers that processes could not flush before they ended. Returns the numbers of
    products and of flushed scopes. Raises Unavailable if Redis does not answer.
    """
    rows = most_bought(PRODUCTS)
    if not popular_ranking.replace(rows):
        raise Unavailable("Redis did not accept the popular ranking; the next run, in a minute, tries again.")
    return {"products": len(rows), "flushed": invalidation.make_up_for_missed()}
