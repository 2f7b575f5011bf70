"""Job, daily: choose and tune the shop's model on its own held-out days, and publish it as a model version."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from jobs.data.catalog import catalog_of
from jobs.data.history import History, load_history
from jobs.data.similarity_rows import format_rows
from jobs.models.neighbours import Neighbours
from jobs.tuning.fitting import NEIGHBOURS
from jobs.tuning.selection import choose
from jobs.tuning.trial import Trial
from shared.clients.postgres import transaction
from shared.job import Parameters, job, progress
from shared.settings import settings
from shared.storage.operations import training_runs
from shared.storage.recommending import models

MIN_CO_OCCURRENCE: Final = 2


class Similarity(Parameters):
    """``time_budget_s`` : for choosing and tuning; SIMILARITY_BUDGET_S where it is not given."""

    time_budget_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None


def why_not_train(history: History) -> str | None:
    """Return why nothing can be learnt from this history; None when something can."""
    if len(history) == 0:
        return "no events of active products in the time looked at"
    if len(history.user_ids) < MIN_CO_OCCURRENCE:
        return "events of one user only: nothing is seen together by two"
    if len(history.product_ids) < 2:
        return "events of one product only: it has no others"
    return None


def why_not_publish(found: Neighbours) -> str | None:
    """Return why a result tells nothing; None when it does."""
    counts = found.counts
    if not counts.any():
        return f"no two products were seen by {MIN_CO_OCCURRENCE} users or more"
    everybody = min(NEIGHBOURS, len(counts) - 1)
    if (counts == everybody).all() and np.allclose(found.scores[found.indices >= 0], 1.0):
        return "all users did the same: every product is as similar to every other"
    return None


def kept(started_at: datetime, reason: str, details: dict[str, Any]) -> dict[str, Any]:
    """Write that the active model stays, and why."""
    progress("model kept", reason=reason)
    with transaction() as connection:
        training_runs.add(connection, "similarity", started_at, "kept", {"reason": reason} | details)
    return {"outcome": "kept", "reason": reason, **details}


def told(trial: Trial) -> None:
    """Say how a candidate is doing."""
    progress("candidate", algorithm=trial.algorithm, ndcg=round(trial.score, 5), fits=trial.fits)


@job
def similarity(parameters: Similarity) -> dict[str, Any]:
    """Publish the best model of the shop's history; where there is nothing to learn the active model stays.

    The candidates are tuned on the history's last days, through the formula that serves; see jobs/tuning/selection.py.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    history = load_history(settings().similarity_lookback_days, settings().all_history_below)
    details: dict[str, Any] = {
        "events": len(history),
        "users": len(history.user_ids),
        "products": len(history.product_ids),
        "load_s": round(time.perf_counter() - started, 3),
    }
    if reason := why_not_train(history):
        return kept(started_at, reason, details)

    started = time.perf_counter()
    budget_s = settings().similarity_budget_s if parameters.time_budget_s is None else parameters.time_budget_s
    progress("choosing", time_budget_s=budget_s, **details)
    choice = choose(history, catalog_of(history.product_ids), time_budget_s=budget_s, report=told)
    details |= {
        "algorithm": choice.algorithm,
        "products_with_neighbours": int(np.count_nonzero(choice.neighbours.counts)),
        "pairs": int(choice.neighbours.counts.sum()),
        "train_s": round(time.perf_counter() - started, 3),
        **choice.metrics(),
    }
    if reason := why_not_publish(choice.neighbours):
        return kept(started_at, reason, details)

    started = time.perf_counter()
    version = models.publish(
        job="similarity",
        started_at=started_at,
        algorithm=choice.algorithm,
        parameters=choice.model_parameters(),
        metrics=details,
        rows=format_rows(history.product_ids, choice.neighbours),
    )
    dropped = models.drop_surplus()
    publish_s = round(time.perf_counter() - started, 3)
    return {"outcome": "published", "version": version, **details, "publish_s": publish_s, "dropped": dropped}
