"""Job, hourly: what is trending over the last 7 and 30 days."""

from typing import Any

from shared.clients.postgres import transaction
from shared.domain.trending import WINDOWS
from shared.job import Parameters, job
from shared.storage.answers import invalidation
from shared.storage.recommending import trending as scores


class Trending(Parameters):
    """Nothing to choose."""


@job
def trending(_parameters: Trending) -> dict[str, Any]:
    """Replace the scores of every window at once, then drop the answers made from the old ones.

    Users' recommendations are left to age out: trending only fills what their own taste leaves empty.
    """
    with transaction(statement_timeout_s=0) as connection:
        products = {window.name: scores.replace(connection, window) for window in WINDOWS}
    return {"products": products, "cache_flushed": invalidation.flush("trending", "dashboard")}
