"""Job, every five minutes: give new products their content neighbours."""

import time
from typing import Any, Final

from shared.job import Parameters, job
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import SIMILAR
from shared.storage.recommending import content

# less than timeout_s of functions.yaml; what is left waits for the next run
TIME_LIMIT_S: Final = 780.0


class RefreshContent(Parameters):
    """No parameters."""


@job
def refresh_content(_parameters: RefreshContent) -> dict[str, Any]:
    """Compute the embeddings of products that have none yet, after counting words anew where the catalog has grown.

    Small changes have theirs at once, by refresh_catalog. Returns how many products got an embedding, how many changed
    theirs, and how many still wait.
    """
    deadline = time.monotonic() + TIME_LIMIT_S
    recounted = content.recount(deadline) if content.is_outdated() else 0
    computed = content.refresh_pending(deadline)
    if recounted or computed:
        invalidation.flush(SIMILAR)
    return {"computed": computed, "recounted": recounted, "pending": content.pending()}
