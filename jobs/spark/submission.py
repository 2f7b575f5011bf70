"""Trains a chosen model on Spark: writes the events as Parquet, records the batch and submits it.

If a batch cannot hold all events, those of a sample of the users are written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import fsspec
import pyarrow.parquet as pq

from jobs.data.history import History, read_history
from jobs.spark.events import table_of
from jobs.tuning.choice import Choice
from jobs.tuning.fitting import MIXTURE, NEIGHBOURS, part
from shared.clients import spark_batches
from shared.job import progress
from shared.storage.events import interactions
from shared.storage.operations import training_batches

HOUR: Final = timedelta(hours=1)
# The events of a file, on average.
FILE_EVENTS: Final = 3_000_000


@dataclass(frozen=True)
class PreparedTraining:
    """What a batch trains, and the details to publish its result with: the column ``choice`` of ``training_batches``.

    Attributes
    ----------
    models : ``algorithm``, ``parameters`` and ``weighting`` of each model to train.
    shares : the share of each in a mixture.
    algorithm, parameters, metrics, timings : of the model version. Repeat weights in ``parameters`` are for neighbours
        with the mean score ``mean_score``.
    """

    models: list[dict[str, Any]]
    shares: list[float]
    algorithm: str
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    timings: dict[str, Any]
    mean_score: float


def prepare(
    choice: Choice, parameters: dict[str, Any], metrics: dict[str, Any], timings: dict[str, Any]
) -> PreparedTraining:
    """Return the training for a choice that was made on a sample of users."""
    if choice.algorithm == MIXTURE:
        parts = choice.parameters["parts"]
    else:
        parts = [part(choice.algorithm, choice.parameters, choice.weighting, 1)]
    return PreparedTraining(
        [{key: value for key, value in one.items() if key != "share"} for one in parts],
        [one["share"] for one in parts],
        choice.algorithm,
        parameters,
        metrics,
        timings,
        choice.neighbours.mean_score,
    )


def submit(
    job: str, started_at: datetime, since: datetime | None, training: PreparedTraining, one_in: int = 1, events: int = 0
) -> dict[str, Any]:
    """Write the events of one user in ``one_in`` since ``since``, record the batch, submit it, and return the answer.

    events : the number of all users' events since then, about.

    The row is stored before the request is sent: if the job dies between the two, ``finish_training`` submits the batch
    under the same id.
    """
    batch_id = f"aisle-{job}-{started_at:%Y%m%d-%H%M%S}"
    exported = write_events(f"{folder_of(batch_id)}/events", since, one_in, events)
    if not training_batches.open_batch(batch_id, job, started_at, vars(training)):
        return {"outcome": "waiting", "reason": "another training has not ended"}
    request_batch(batch_id, training)
    progress("training submitted", batch=batch_id, events=exported)
    return {
        "outcome": "submitted",
        "batch": batch_id,
        "exported_events": exported,
        **training.metrics,
        **training.timings,
    }


def folder_of(batch_id: str) -> str:
    """Return the folder of a batch's events and neighbours."""
    return f"{spark_batches.place().folder.rstrip('/')}/{batch_id}"


def request_batch(batch_id: str, training: PreparedTraining) -> None:
    """Submit a batch whose row exists; safe to repeat, since a batch submitted twice runs once. Raises Unavailable."""
    folder, where = folder_of(batch_id), spark_batches.place()
    arguments = ["--events", f"{folder}/events", "--output", f"{folder}/neighbours"]
    arguments += ["--models", json.dumps(training.models), "--k", str(NEIGHBOURS)]
    spark_batches.create_batch(batch_id, spark_batches.batch_body(arguments, where))
    training_batches.mark_submitted(batch_id)


def write_events(folder: str, since: datetime | None, one_in: int = 1, events: int = 0) -> int:
    """Write the events that models learn from, and return their number.

    since : one file is written for each day since then, or for a few hours in a large shop. If it is None, all events
        are written, few of them to one file.

    one_in : write those of one user in this many.  events : the number of all users' events since then, about.

    Only one file is in memory at a time. Whatever was written before the process died is deleted with the bucket's
    other files, after two days.
    """
    filesystem, root = fsspec.core.url_to_fs(folder)
    filesystem.makedirs(root, exist_ok=True)
    if since is None and events / one_in <= FILE_EVENTS:
        # few events, but some may be decades old
        return _write(filesystem, f"{root}/all.parquet", read_history(None, one_in=one_in))
    now = datetime.now(UTC)
    since = since or interactions.first_event() or now
    length = slice_hours(events / one_in / (max(now - since, HOUR) / HOUR)) * HOUR
    count, start = 0, datetime.combine(since.astimezone(UTC).date(), time(), UTC)
    while start <= now:
        if start + length > since:
            history = read_history(max(start, since), start + length, one_in)
            count += _write(filesystem, f"{root}/{start:%Y-%m-%d-%H}.parquet", history)
        start += length
    return count


def slice_hours(hourly_events: float) -> int:
    """Return the hours of a file, a divisor of 24, so that it has FILE_EVENTS on average at most."""
    return next((hours for hours in (24, 12, 6, 3) if hours * hourly_events <= FILE_EVENTS), 1)


def _write(filesystem: Any, path: str, history: History) -> int:
    table = table_of(history)
    with filesystem.open(path, "wb") as file:
        pq.write_table(table, file)
    return int(table.num_rows)


def read_training(choice: Mapping[str, Any]) -> PreparedTraining:
    """Return the training that a row of ``training_batches`` describes; ``choice`` is its column of that name."""
    return PreparedTraining(**choice)
