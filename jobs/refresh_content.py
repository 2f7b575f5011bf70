"""Job, every five minutes: give new products their content neighbours, and end changes of the search language."""

import time
from typing import Any, Final

from shared.clients.postgres import transaction
from shared.job import Parameters, job
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import PRODUCT_SCOPES, SIMILAR
from shared.storage.catalog import search_index
from shared.storage.recommending import content

# less than timeout_s of functions.yaml; what is left waits for the next run
TIME_LIMIT_S: Final = 780.0


class RefreshContent(Parameters):
    """No parameters."""


@job
def refresh_content(_parameters: RefreshContent) -> dict[str, Any]:
    """Compute the embeddings of products that have none yet, after counting words anew where the catalog has grown.

    Small changes have theirs at once, by refresh_catalog. Returns how many products got an embedding, how many changed
    theirs, and how many still wait; and how many documents were in another language than the shop's.
    """
    deadline = time.monotonic() + TIME_LIMIT_S
    translated = _end_change_of_language(deadline)
    recounted = content.recount(deadline) if content.is_outdated() else 0
    computed = content.refresh_pending(deadline)
    if translated:
        invalidation.flush(*PRODUCT_SCOPES)
    elif recounted or computed:
        invalidation.flush(SIMILAR)
    return {"computed": computed, "recounted": recounted, "pending": content.pending(), "translated": translated}


def _end_change_of_language(deadline: float) -> int:
    """Index what a change of the search language has left; return how many products that were.

    refresh_catalog indexes the products that it is told of. A product whose transaction began before the change and
    committed after it may not be among them, and search would ask in both languages for ever.
    """
    total = 0
    while time.monotonic() < deadline:
        with transaction() as connection:
            ids = search_index.list_in_another_language(connection, content.BATCH)
            if not ids:
                search_index.end_change_of_language(connection)
                return total
            search_index.refresh_language(connection, ids)
        content.refresh_batches(ids)
        total += len(ids)
    return total
