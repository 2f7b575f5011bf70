"""Job, hourly: trending scores over the last 7 and 30 days."""

from typing import Any

from shared.clients.postgres import transaction
from shared.domain.trending import WINDOWS
from shared.job import Parameters, job
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import DASHBOARD, TRENDING
from shared.storage.recommending import trending as scores


class Trending(Parameters):
    """No parameters."""


@job
def trending(_parameters: Trending) -> dict[str, Any]:
    """Replace the scores of every window in one transaction, then invalidate the cached answers that show them.

    Cached recommendations of users stay until they expire: they contain trending products only as fillers.
    """
    with transaction(statement_timeout_s=0) as connection:
        products = {window.name: scores.replace(connection, window) for window in WINDOWS}
    return {"products": products, "cache_flushed": invalidation.flush(TRENDING, DASHBOARD)}
