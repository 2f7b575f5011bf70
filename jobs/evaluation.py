"""Job, weekly: report the offline quality of what would have been served, without leakage."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from jobs.data.catalog import catalog_of
from jobs.data.history import load_history
from jobs.offline.split import NothingToMeasure, split_last_days
from jobs.reports.offline_evaluation import evaluate
from jobs.reports.report import render_page
from shared.clients.postgres import transaction
from shared.job import Parameters, job, progress
from shared.settings import settings
from shared.storage.operations import training_runs


class Evaluation(Parameters):
    """What to evaluate.

    days : days held out, counted back from the newest event.
    time_budget_s : seconds for tuning, both modes together; the setting SIMILARITY_BUDGET_S by default.
    """

    days: Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)] = 7
    time_budget_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None


@job
def evaluation(parameters: Evaluation) -> dict[str, Any]:
    """Evaluate with new products only and with repeats, and write figures and an HTML report to ``training_runs``.

    ``details.results`` holds the figures of each mode, ``details.report`` the page. If the history cannot be measured,
    the run is recorded with the reason. The active model is not changed.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    budget_s = settings().similarity_budget_s if parameters.time_budget_s is None else parameters.time_budget_s
    history = load_history(settings().similarity_lookback_days, settings().all_history_below)
    catalog = catalog_of(history.product_ids)
    results: list[dict[str, Any]] = []
    reasons: dict[str, str] = {}
    for new_only in (True, False):
        mode = "new-only" if new_only else "repeats"
        try:
            split = split_last_days(history, parameters.days, new_only=new_only)
            evaluated = evaluate(split, catalog, time_budget_s=budget_s / 2, holdout_days=parameters.days)
        except NothingToMeasure as error:
            reasons[mode] = str(error)
            continue
        results.append(evaluated.as_json())
        progress("evaluated", mode=mode, ndcg=results[-1]["served"]["ndcg@20"]["mean"])
    outcome = "evaluated" if results else "nothing to measure"
    details = {"days": parameters.days, "results": results, "reasons": reasons}
    with transaction() as connection:
        training_runs.add(
            connection,
            "evaluation",
            started_at,
            outcome,
            details | {"report": render_page(results) if results else None},
        )
    return {
        "outcome": outcome,
        "reasons": reasons,
        "evaluate_s": round(time.perf_counter() - started, 3),
        "served": {result["mode"]: result["served"] for result in results},
    }
