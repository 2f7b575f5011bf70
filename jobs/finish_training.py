"""Job, every five minutes: publish the result of a training run on Spark. If it failed, the active model stays."""

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import fsspec
import numpy as np

from jobs.data.similarity_rows import format_rows
from jobs.spark.results import read_neighbours
from jobs.spark.submission import PreparedTraining, folder_of, read_training, request_batch
from jobs.tuning.fitting import NEIGHBOURS
from jobs.tuning.publishing import find_publishing_obstacle, keep_active_model
from shared.answers_ahead import compute_ahead
from shared.clients import spark_batches
from shared.clients.postgres import transaction
from shared.domain.formula import SERVING_KEYS
from shared.errors import Unavailable
from shared.job import Parameters, job
from shared.settings import settings
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import MODEL_SCOPES
from shared.storage.operations import training_batches, training_runs
from shared.storage.operations.training_batches import TrainingBatch
from shared.storage.recommending import models

log = logging.getLogger(__name__)

JOB: Final = "similarity"
# Google ends a batch at its time limit; an hour after that the batch is given up, whatever its state
GIVEN_UP_AFTER: Final = timedelta(seconds=spark_batches.BATCH_TTL_S + 3600)
GIVEN_UP_AFTER_H: Final = GIVEN_UP_AFTER / timedelta(hours=1)
# a batch that Google refuses is given up after this time: new roles take minutes to take effect
REFUSED_AFTER: Final = timedelta(hours=1)
# attempts to publish whose process may be killed, for its memory or its time, before the result is given up
PUBLICATIONS_MAX: Final = 3
# the key of a version's metrics that names its batch
BATCH_KEY: Final = "batch"


class FinishTraining(Parameters):
    """No parameters."""


@job
def finish_training(_parameters: FinishTraining) -> dict[str, Any]:
    """Check the open training once, and publish its result, record its failure, or leave it to the next run.

    Safe to repeat: a version that was activated before this job died is found by the batch that its run names.
    """
    batch = training_batches.find_open(JOB)
    if batch is None:
        return {"outcome": "idle"}
    if (version := training_runs.find_version(JOB, batch.id)) is not None:
        # an earlier run may have died after activating the version and before these two
        invalidation.flush(*MODEL_SCOPES)
        close(batch, "published")
        return {"outcome": "published", "batch": batch.id, "version": version}
    if settings().spark_batches is None:
        return give_up(batch, "SPARK_BATCHES is no longer set")
    try:
        training = read_training(batch.choice)
    except (TypeError, KeyError) as error:
        return give_up(batch, f"another release recorded it: {error}")
    try:
        state = spark_batches.read_batch(batch.id)
        if state is None and batch.submitted_at is None:
            request_batch(batch.id, training)
            return {"outcome": "submitted", "batch": batch.id}
    except Unavailable as error:
        is_refused = isinstance(error, spark_batches.BatchRefused) and batch.submitted_at is None
        if is_refused and age(batch.started_at) > REFUSED_AFTER:
            return give_up(batch, error.detail)
        if is_overdue(batch):
            return give_up(batch, f"for {GIVEN_UP_AFTER_H:g} hours: {error.detail}")
        raise
    if state is None:
        return give_up(batch, "the batch was deleted before its result was read")
    if batch.submitted_at is None:
        # the answer to the submission was lost
        training_batches.mark_submitted(batch.id)
        batch = batch._replace(submitted_at=datetime.now(UTC))
    if state.state not in spark_batches.ENDED:
        if is_overdue(batch):
            return give_up(
                batch, f"the batch has not ended in {GIVEN_UP_AFTER_H:g} hours, and its state is {state.state}"
            )
        return {"outcome": "waiting", "batch": batch.id, "state": state.state}
    if state.state != "SUCCEEDED":
        return give_up(batch, f"the batch ended as {state.state}: {state.message or 'Google gives no reason'}")
    model = models.active()
    if model is not None and model.published_at > batch.started_at:
        return give_up(batch, f"version {model.version} was published after it had begun")
    if (begun := training_batches.begin_publication(batch.id)) > PUBLICATIONS_MAX:
        reason = f"its publication was begun {begun - 1} times and never reported an end (out of memory or time?)"
        return give_up(batch, f"{reason}; see the log")
    try:
        return publish(batch, training)
    except Exception as error:
        # where the database is away, this attempt counts as one whose process was killed
        with suppress(Unavailable):
            training_batches.fail_publication(batch.id)
        if not is_overdue(batch) or training_runs.find_version(JOB, batch.id) is not None:
            raise
        return give_up(batch, f"its result cannot be published: {type(error).__name__}: {error}"[:500])


def age(time: datetime) -> timedelta:
    """Return how long ago a time was."""
    return datetime.now(UTC) - time


def is_overdue(batch: TrainingBatch) -> bool:
    """Return whether a batch should have ended, counted from its submission."""
    return age(batch.submitted_at or batch.started_at) > GIVEN_UP_AFTER


def publish(batch: TrainingBatch, training: PreparedTraining) -> dict[str, Any]:
    """Publish the neighbours that a batch wrote."""
    filesystem, root = fsspec.core.url_to_fs(f"{folder_of(batch.id)}/neighbours")
    try:
        product_ids, neighbours = read_neighbours(filesystem, root, training.models, training.shares, NEIGHBOURS)
    except FileNotFoundError as error:
        return give_up(batch, str(error))
    if reason := find_publishing_obstacle(neighbours):
        return give_up(batch, reason)
    metrics = training.metrics | {
        BATCH_KEY: batch.id,
        "products_with_neighbours": int(np.count_nonzero(neighbours.counts)),
        "pairs": int(neighbours.counts.sum()),
    }
    version = models.publish(
        job=JOB,
        started_at=batch.started_at,
        algorithm=training.algorithm,
        parameters=in_scores_of(training, neighbours.mean_score),
        metrics=metrics,
        rows=format_rows(product_ids, neighbours),
        timings=training.timings,
    )
    close(batch, "published")
    dropped = models.drop_surplus()
    return {"outcome": "published", "version": version, **metrics, "dropped": dropped, "ahead": compute_ahead()}


def in_scores_of(training: PreparedTraining, mean_score: float) -> dict[str, Any]:
    """Return the version's parameters with repeat weights scaled to neighbours with this mean score.

    The formulae were tuned on a sample of users, whose scores differ from those of all users.
    """
    ratio = mean_score / (training.mean_score or mean_score or 1.0)
    formulae = {key: training.parameters[key] for key in SERVING_KEYS.values() if key in training.parameters}
    return training.parameters | {
        key: formula | {"repeat_weight": formula["repeat_weight"] * ratio} for key, formula in formulae.items()
    }


def give_up(batch: TrainingBatch, reason: str) -> dict[str, Any]:
    """Record that the active model stays, and why; return the job's answer."""
    log.warning("spark training failed", extra={"batch": batch.id, "reason": reason})
    close(batch, "kept", reason)
    return keep_active_model(batch.started_at, reason, {BATCH_KEY: batch.id})


def close(batch: TrainingBatch, outcome: training_batches.Outcome, reason: str | None = None) -> None:
    """Record how a training ended."""
    with transaction() as connection:
        training_batches.close(connection, batch.id, outcome, reason)
