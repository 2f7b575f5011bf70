"""Job, daily: choose and tune the shop's model on its own held-out days, and publish it as a model version."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Field

from jobs.data.catalog import Catalog, catalog_of
from jobs.data.history import History, history_start, read_history
from jobs.data.similarity_rows import format_rows, unpack_rows
from jobs.data.size import READ_EVENTS, trains_on_spark
from jobs.spark.blocks import choose_sample
from jobs.spark.recipes import RECIPES
from jobs.spark.submission import prepare, submit
from jobs.tuning.buy_again import choose_formula
from jobs.tuning.choice import Choice
from jobs.tuning.drift import PROFILE_KEY, Drift, Profile, measure_drift, profile_of
from jobs.tuning.fitting import NEIGHBOURS
from jobs.tuning.guard import STORED_USERS_MIN, PublishedModel, find_stored_advantage
from jobs.tuning.plan import TUNING_EVENTS
from jobs.tuning.publishing import MIN_CO_OCCURRENCE, find_publishing_obstacle, keep_active_model
from jobs.tuning.selection import choose_model
from jobs.tuning.short_histories import GROUPS_FROM, share_lengths
from jobs.tuning.space import SPACES, Space
from jobs.tuning.trial import Trial
from jobs.tuning.warm_start import ActiveVersion, read_version
from shared.answers_ahead import compute_ahead
from shared.clients import spark_batches
from shared.domain.formula import Repeats
from shared.domain.replenishment import REPLENISHMENT_KEY
from shared.job import Parameters, job, progress
from shared.settings import settings
from shared.storage.events import interactions
from shared.storage.operations import training_batches
from shared.storage.recommending import models, request_histories

log = logging.getLogger(__name__)

# The kind of answers that the model is chosen for.
REPEATS: Final[Repeats] = "exclude"
# The algorithms that Spark can train.
SCALABLE: Final = {name: space for name, space in SPACES.items() if name in RECIPES}


class Similarity(Parameters):
    """``time_budget_s`` : predicted processor seconds for tuning; the setting SIMILARITY_BUDGET_S by default."""

    time_budget_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None


def find_training_obstacle(history: History) -> str | None:
    """Return why no model can learn from this history; None if one can."""
    if len(history) == 0:
        return "no events of active products in the lookback period"
    if len(history.user_ids) < MIN_CO_OCCURRENCE:
        return f"events of one user only; products need {MIN_CO_OCCURRENCE} common users to be neighbours"
    if len(history.product_ids) < 2:
        return "events of one product only; neighbours need at least two products"
    return None


def report_trial(trial: Trial) -> None:
    """Log the progress of one trial."""
    progress("trial", algorithm=trial.algorithm, ndcg=round(trial.score, 5), fits=trial.fits)


def read_active(model: models.Model, spaces: Mapping[str, Space]) -> ActiveVersion | None:
    """Return what the active version stores; None if this release, or Spark, cannot fit it again."""
    active = read_version(model.version, model.algorithm, model.parameters, model.metrics, spaces)
    if active is None:
        log.warning("model unknown", extra={"version": model.version, "algorithm": model.algorithm})
    return active


def report_drift(drift: Drift) -> None:
    """Log drift, as a line that monitoring matches (docs/runbooks/model-drift.md)."""
    if drift.reasons():
        log.warning("model drift", extra={"drift": drift.as_json()})


def find_stored_obstacle(
    history: History,
    catalog: Catalog,
    choice: Choice,
    active: ActiveVersion,
    then: Profile,
    shares: tuple[float, ...],
    spaces: Mapping[str, Space],
) -> str | None:
    """Return why to keep the active version's stored neighbours; None if the choice should replace them."""
    if (history.times > then.until).sum() < STORED_USERS_MIN:
        return None
    stored = unpack_rows(history.product_ids, models.read_neighbours(active.version), NEIGHBOURS)
    mean_score = choice.neighbours.mean_score or 1.0
    formula = choice.formula.with_(repeat_weight=choice.formula.repeat_weight / mean_score)
    return find_stored_advantage(
        history,
        catalog,
        PublishedModel(choice.algorithm, choice.parameters, choice.weighting, formula),
        active,
        stored,
        then.until,
        repeats=REPEATS,
        length_shares=shares,
        spaces=spaces,
    )


@job
def similarity(parameters: Similarity) -> dict[str, Any]:
    """Publish the best model for the shop's history; the active model is kept if there is nothing to learn.

    Algorithms are tuned on the history's last days, through the serving formula, for answers with new products; see
    jobs/tuning/selection.py. Histories are weighted by length as in the shop's requests. The search starts from the
    active version's values, and no worse model replaces it (docs/decisions/0035-warm-start.md).

    If SIMILARITY_ENGINE has the shop trained on Spark, the model is chosen on a sample of users, among the algorithms
    that Spark can train. The job then submits the training on all users, or on as many as Spark can hold, and
    ``finish_training`` publishes the result. At most READ_EVENTS are read, those of the last days.
    """
    # a result that is published from now on is newer than this run
    waiting = training_batches.find_open("similarity")
    started_at, started = datetime.now(UTC), time.perf_counter()
    since = history_start(settings().similarity_lookback_days, settings().all_history_below)
    if since is not None and settings().similarity_engine != "local":
        since = interactions.start_within(since, READ_EVENTS)
    size = interactions.estimate_size(since) if settings().similarity_engine != "local" else None
    products = interactions.count_products() if size is not None else 0
    on_spark = size is not None and trains_on_spark(size.pairs, products)
    if on_spark:
        # before minutes of tuning
        spark_batches.place()
    one_in = max(1, round(size.events / TUNING_EVENTS)) if size is not None and on_spark else 1
    spaces = SCALABLE if on_spark else SPACES
    if on_spark and waiting is not None:
        return {"outcome": "waiting", "reason": f"the training {waiting.id} has not ended", "batch": waiting.id}
    history = read_history(since, one_in=one_in)
    details: dict[str, Any] = {
        "events": len(history),
        "users": len(history.user_ids),
        "products": len(history.product_ids),
    }
    timings = {"load_s": round(time.perf_counter() - started, 3)}
    if reason := find_training_obstacle(history):
        return keep_active_model(started_at, reason, details | timings)

    started = time.perf_counter()
    budget_s = settings().similarity_budget_s if parameters.time_budget_s is None else parameters.time_budget_s
    progress("choosing", time_budget_s=budget_s, **details, **timings)
    shares = share_lengths(request_histories.count_by_length(GROUPS_FROM))
    catalog, profile = catalog_of(history.product_ids), profile_of(history)
    active, then, drift = None, None, None
    if (model := models.active()) is not None:
        active, then = read_active(model, spaces), Profile.from_json(model.metrics.get(PROFILE_KEY))
        drift = measure_drift(model.version, then, profile, history)
        if active is not None:
            active = replace(active, has_moved=active.has_moved or bool(drift.reasons()))
    choice = choose_model(
        history,
        catalog,
        time_budget_s=budget_s,
        repeats=REPEATS,
        other_repeats=("include", "only"),
        length_shares=shares,
        spaces=spaces,
        report=report_trial,
        active=active,
    )
    if drift is not None:
        drift = replace(drift, fall=choice.fall)
        report_drift(drift)
    details |= {
        "algorithm": choice.algorithm,
        "products_with_neighbours": int(np.count_nonzero(choice.neighbours.counts)),
        "pairs": int(choice.neighbours.counts.sum()),
        "history_length_shares": [round(share, 3) for share in shares],
        **choice.metrics(),
        PROFILE_KEY: profile.as_json(),
        "drift": None if drift is None else drift.as_json(),
    }
    timings["train_s"] = round(time.perf_counter() - started, 3)
    if choice.is_aborted:
        log.warning("Tuning was aborted: %s", choice.reason)
    if reason := find_publishing_obstacle(choice.neighbours):
        return keep_active_model(started_at, reason, details | timings)
    if (
        active is not None
        and then is not None
        and (reason := find_stored_obstacle(history, catalog, choice, active, then, shares, spaces))
    ):
        return keep_active_model(started_at, reason, details | timings)

    buy_again = choose_formula(history)
    details["buy_again"] = buy_again.metrics()
    parameters_of_version = choice.model_parameters() | {REPLENISHMENT_KEY: buy_again.formula.parameters()}
    started = time.perf_counter()
    if on_spark:
        assert size is not None
        training = prepare(choice, parameters_of_version, details | {"chosen_of_users": f"1 in {one_in}"}, timings)
        trained = choose_sample(size.events, products, NEIGHBOURS)
        training.metrics["trained_on_users"] = f"1 in {trained}"
        training.metrics["trained_since"] = None if since is None else since.isoformat(timespec="minutes")
        return submit("similarity", started_at, since, training, trained, size.events)
    version = models.publish(
        job="similarity",
        started_at=started_at,
        algorithm=choice.algorithm,
        parameters=parameters_of_version,
        metrics=details,
        rows=format_rows(history.product_ids, choice.neighbours),
        timings=timings,
    )
    dropped = models.drop_surplus()
    timings["publish_s"] = round(time.perf_counter() - started, 3)
    ahead = compute_ahead()
    return {"outcome": "published", "version": version, **details, **timings, "dropped": dropped, "ahead": ahead}
