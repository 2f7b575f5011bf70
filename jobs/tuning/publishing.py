"""Whether a trained model is published, and what is recorded if it is not."""

from datetime import datetime
from typing import Any, Final

import numpy as np

from jobs.models.neighbours import Neighbours
from jobs.tuning.fitting import NEIGHBOURS
from shared.clients.postgres import transaction
from shared.job import progress
from shared.storage.operations import training_runs

# Users who must share two products for the products to be neighbours.
MIN_CO_OCCURRENCE: Final = 2


def find_publishing_obstacle(neighbours: Neighbours) -> str | None:
    """Return why these neighbours are not informative enough to be published; None if they are."""
    counts = neighbours.counts
    if not counts.any():
        return f"no two products have {MIN_CO_OCCURRENCE} or more users in common"
    most = min(NEIGHBOURS, len(counts) - 1)
    if (counts == most).all() and np.allclose(neighbours.scores[neighbours.indices >= 0], 1.0):
        return "all users did the same: every product is equally similar to every other"
    return None


def keep_active_model(started_at: datetime, reason: str, details: dict[str, Any]) -> dict[str, Any]:
    """Record in ``training_runs`` that the active model stays, and why; return the job's answer."""
    progress("model kept", reason=reason)
    with transaction() as connection:
        training_runs.add(connection, "similarity", started_at, "kept", {"reason": reason} | details)
    return {"outcome": "kept", "reason": reason, **details}
