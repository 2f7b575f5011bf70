"""Trainings on Spark: one at a time for each job, which is submitted once and ends once."""

from datetime import UTC, datetime

import pytest

from shared.clients import postgres
from shared.storage.operations import training_batches
from shared.storage.operations.training_batches import Outcome, TrainingBatch

pytestmark = pytest.mark.usefixtures("env")
MONDAY, TUESDAY = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)


def close(batch_id: str, outcome: Outcome, reason: str | None = None) -> None:
    with postgres.transaction() as connection:
        training_batches.close(connection, batch_id, outcome, reason)


def of_job(job: str) -> TrainingBatch:
    batch = training_batches.latest(job)
    assert batch is not None
    return batch


def test_a_training_ends_once_and_no_other_ends_with_it() -> None:
    assert training_batches.open_batch("one", "similarity", MONDAY, {"k": 1})
    assert training_batches.open_batch("other", "another", MONDAY, {})
    # while one is open, there is no second one of its job
    assert not training_batches.open_batch("two", "similarity", TUESDAY, {})
    close("one", "published")
    ended = of_job("similarity")
    assert (ended.outcome, ended.reason, ended.choice) == ("published", None, {"k": 1})
    # two runs at the same moment: the first to end it says how
    close("one", "kept", "too late")
    assert of_job("similarity") == ended
    assert training_batches.find_open("similarity") is None
    assert training_batches.find_open("another") == of_job("another")
    assert training_batches.open_batch("two", "similarity", TUESDAY, {})
    assert of_job("similarity").id == "two"


def test_a_training_was_submitted_when_google_first_accepted_it() -> None:
    assert training_batches.open_batch("one", "similarity", MONDAY, {})
    assert training_batches.open_batch("other", "another", MONDAY, {})
    training_batches.mark_submitted("one")
    submitted = of_job("similarity")
    assert submitted.submitted_at is not None
    training_batches.mark_submitted("one")
    assert of_job("similarity") == submitted
    assert of_job("another").submitted_at is None
