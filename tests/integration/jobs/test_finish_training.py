"""Training on Spark: submitted by ``similarity``, published by ``finish_training``, beside an active version."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.data.history import history_start, read_history
from jobs.data.size import trains_on_spark
from jobs.finish_training import PUBLICATIONS_MAX, FinishTraining, finish_training, in_scores_of
from jobs.similarity import Similarity, similarity
from jobs.spark.events import EVENTS, history_of_users
from jobs.spark.submission import PreparedTraining, slice_hours, write_events
from shared.clients import postgres, redis_sync, spark_batches
from shared.clients.postgres import Connection
from shared.doctor import run_checks
from shared.errors import MissingSetting, Unavailable
from shared.storage.answers import protocol
from shared.storage.events import interactions
from shared.storage.events.interactions import HistorySize
from shared.storage.operations import training_batches
from shared.storage.recommending import models
from tests.integration.conftest import Environment, settings_of
from tests.integration.shop import add_events, add_plain_products, checkerboard_views
from tests.integration.spark_server import SparkServer, serve_spark
from tests.unit.spark.shops import run_steps

IMAGE = "europe-west1-docker.pkg.dev/shop/aisle/spark:1"
ACCOUNT = "aisle-spark@shop.iam.gserviceaccount.com"


@pytest.fixture
def spark(env: Environment, tmp_path: Path) -> Iterator[SparkServer]:
    """A shop with a version of the local engine, whose next training is on Spark."""
    add_events(checkerboard_views(add_plain_products(6), 8))
    assert similarity.run(Similarity())["outcome"] == "published"
    where = {
        "location": "europe-west1",
        "folder": f"file://{tmp_path}",
        "image": IMAGE,
        "subnetwork": "aisle-spark",
        "service_account": ACCOUNT,
    }
    with serve_spark(env["GOOGLE_CLOUD_PROJECT"]) as server:
        own = {
            "SIMILARITY_ENGINE": "spark",
            "SPARK_BATCHES": json.dumps(where),
            "SPARK_EMULATOR_HOST": server.host,
        }
        with settings_of(env | own):
            yield server


def run_batch(server: SparkServer, batch_id: str) -> None:
    """Do what the program of a batch does, by the same steps on the same files, and let the batch succeed."""
    arguments = server.arguments(batch_id)
    events = pq.read_table(arguments["events"].removeprefix("file://"), schema=EVENTS)
    for number, model in enumerate(json.loads(arguments["models"])):
        product_ids = events["product_id"].combine_chunks().unique().sort().to_numpy()
        history = history_of_users([events], product_ids)
        folder = Path(arguments["output"].removeprefix("file://")) / f"model={number}"
        folder.mkdir(parents=True)
        pq.write_table(run_steps(history, model, 2, int(arguments["k"])), folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
    server.end(batch_id, "SUCCEEDED")


def finish() -> dict[str, Any]:
    answer: dict[str, Any] = finish_training.run(FinishTraining())
    return answer


def submit() -> str:
    answer = similarity.run(Similarity())
    assert answer["outcome"] == "submitted", answer
    return str(answer["batch"])


def rows(version: int) -> list[Any]:
    return postgres.read(
        "SELECT product_id, neighbours, scores, co_occurrence FROM item_similarity WHERE version = :v ORDER BY 1",
        v=version,
    )


def runs() -> list[tuple[str, int | None]]:
    return [(row[0], row[1]) for row in postgres.read("SELECT outcome, version FROM training_runs ORDER BY id")]


def active() -> int:
    model = models.active()
    assert model is not None
    return model.version


def finding(name: str) -> tuple[str, str]:
    return next((one.verdict, one.detail) for one in run_checks() if one.check == name)


def submitted(hours_ago: float) -> None:
    postgres.write(
        "UPDATE training_batches SET started_at = now() - interval '1 day',"
        " submitted_at = clock_timestamp() - :h * interval '1 hour'",
        h=hours_ago,
    )
    # what was published before it began is no newer version
    postgres.write("UPDATE models SET published_at = published_at - interval '2 days'")


def started(hours_ago: float) -> None:
    postgres.write("UPDATE training_batches SET started_at = clock_timestamp() - :h * interval '1 hour'", h=hours_ago)
    postgres.write("UPDATE models SET published_at = published_at - interval '2 days'")


def test_a_training_is_submitted_awaited_and_published_beside_the_version_before(spark: SparkServer) -> None:
    before, stored = active(), rows(active())
    batch = submit()
    assert (active(), spark.batches[batch]["state"]) == (before, "PENDING")
    for state in ("PENDING", "RUNNING"):
        spark.end(batch, state)
        assert finish()["outcome"] == "waiting"
    run_batch(spark, batch)
    answer = finish()
    assert answer["outcome"] == "published"
    assert active() == answer["version"] != before
    model = models.active()
    assert model is not None
    assert (model.algorithm, model.metrics["batch"], model.metrics["products_with_neighbours"]) == ("cosine", batch, 6)
    # the checkerboard's cosines are 1 in either engine
    assert [row[1:] for row in rows(active())] == [row[1:] for row in stored]
    assert rows(before) == stored
    assert runs() == [("published", before), ("published", active())]
    assert finish() == {"job": "finish_training", "outcome": "idle", "seconds": pytest.approx(0, abs=60)}
    assert finding("model")[0] == "well"


def test_the_request_says_where_the_batch_runs_and_what_it_may_reach(spark: SparkServer) -> None:
    batch = spark.batches[submit()]
    assert batch["runtimeConfig"]["containerImage"] == IMAGE
    assert batch["runtimeConfig"]["version"] == "3.0"
    assert batch["environmentConfig"]["executionConfig"] == {
        "serviceAccount": ACCOUNT,
        "subnetworkUri": "aisle-spark",
        # that of the firewall in terraform/spark.tf
        "networkTags": ["aisle-spark"],
        "ttl": "21600s",
    }
    assert not any("postgres" in word for word in batch["pysparkBatch"]["args"])


def test_the_batch_reads_all_users_though_the_choice_was_made_on_some(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = read_history(None)
    monkeypatch.setattr("jobs.similarity.TUNING_EVENTS", 12)
    monkeypatch.setattr("shared.storage.events.interactions.SIZE_ONE_IN", 1)
    sample = read_history(None, one_in=2)
    assert 0 < len(sample.user_ids) < len(complete.user_ids)
    counts = {user: (complete.user_ids[complete.users] == user).sum() for user in sample.user_ids}
    assert {user: (sample.user_ids[sample.users] == user).sum() for user in sample.user_ids} == counts
    answer = similarity.run(Similarity())
    assert answer["exported_events"] == len(complete)
    assert answer["users"] <= len(complete.user_ids)


@pytest.mark.parametrize(("events", "sample"), [(100, 1), (101, 2), (200, 2), (201, 3)])
def test_a_batch_reads_as_many_users_as_its_tasks_can_hold(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch, events: int, sample: int
) -> None:
    complete = read_history(None)
    # nine tenths of the capacity are planned for, and three entries of an event
    monkeypatch.setattr("jobs.spark.blocks.most_entries", lambda _items, _k: 300 / 0.9)
    monkeypatch.setattr("jobs.similarity.interactions.estimate_size", lambda _since: HistorySize(events, events))
    answer = similarity.run(Similarity())
    written = pq.read_table(spark.arguments(answer["batch"])["events"].removeprefix("file://"), schema=EVENTS)
    assert answer["trained_on_users"] == f"1 in {sample}"
    assert answer["exported_events"] == len(written) == len(read_history(None, one_in=sample))
    assert (len(written) == len(complete)) == (sample == 1)
    stored = training_batches.find_open("similarity")
    assert stored is not None
    assert stored.choice["metrics"]["trained_on_users"] == f"1 in {sample}"


@pytest.mark.parametrize(
    ("most", "first_day"),
    # days before today have 10, 20 and 40 events, newest first; today is not over
    [(9, 1), (10, 1), (29, 1), (30, 2), (69, 2), (70, None), (1_000, None)],
)
@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Tokyo"])
def test_a_history_starts_with_the_days_that_can_be_read(
    env: Environment, most: int, first_day: int | None, zone: str
) -> None:
    postgres.write("UPDATE shop SET time_zone = :zone", zone=zone)
    now = datetime.now(ZoneInfo(zone))
    for ago, events in ((0, 1), (1, 7), (2, 20), (3, 40), (100, 1_000_000)):
        count_events(now - timedelta(days=ago), "view", events)
    count_events(now - timedelta(days=1), "search", 3)
    since = now - timedelta(days=90)
    start = interactions.start_within(since, most)
    if first_day is None:
        assert start == since
    else:
        assert start == datetime.combine((now - timedelta(days=first_day)).date(), time(), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("hourly", "hours"), [(0, 24), (125_000, 24), (125_001, 12), (250_001, 6), (500_001, 3), (1_000_001, 1), (1e8, 1)]
)
def test_a_file_has_as_many_hours_as_three_million_events_allow(hourly: float, hours: int) -> None:
    assert slice_hours(hourly) == hours


def test_events_of_a_large_shop_are_written_by_the_hour(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_events(checkerboard_views(add_plain_products(6), 8))
    since = datetime.now(UTC) - timedelta(days=60)
    history = read_history(since)
    by_day = write_events(f"file://{tmp_path}/days", since)
    by_hour = write_events(f"file://{tmp_path}/hours", since, events=10**12)
    assert by_day == by_hour == len(history)
    days, hours = (sorted((tmp_path / name).iterdir()) for name in ("days", "hours"))
    assert (60 <= len(days) <= 61, 60 * 24 <= len(hours) <= 61 * 24 + 1) == (True, True)
    tables = [pa.concat_tables(pq.read_table(file, schema=EVENTS) for file in files) for files in (days, hours)]
    assert (
        tables[0]
        .sort_by([(name, "ascending") for name in EVENTS.names])
        .equals(tables[1].sort_by([(name, "ascending") for name in EVENTS.names]))
    )


def test_a_whole_history_is_written_to_one_file_only_if_it_is_small(env: Environment, tmp_path: Path) -> None:
    add_events(checkerboard_views(add_plain_products(6), 8))
    history = read_history(None)
    small = write_events(f"file://{tmp_path}/small", None, events=3_000_000)
    large = write_events(f"file://{tmp_path}/large", None, events=3_000_001)
    assert small == large == len(history)
    assert len(list((tmp_path / "small").iterdir())) == 1
    assert len(list((tmp_path / "large").iterdir())) > 1


def test_no_training_begins_while_the_one_before_is_published(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit()
    run_batch(spark, first)
    estimate = interactions.estimate_size

    def publish_meanwhile(since: datetime | None) -> HistorySize:
        assert finish()["outcome"] == "published"
        return estimate(since)

    with monkeypatch.context() as patched:
        patched.setattr("jobs.similarity.interactions.estimate_size", publish_meanwhile)
        # a training that began before that result was published could not replace it
        assert similarity.run(Similarity())["outcome"] == "waiting"
    assert training_batches.find_open("similarity") is None


def test_a_history_of_which_no_day_was_counted_is_read_whole(env: Environment) -> None:
    since = datetime.now(UTC) - timedelta(days=90)
    assert interactions.start_within(since, 1) == since


def test_the_job_reads_no_earlier_events_where_spark_may_train(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_events(datetime.now(UTC) - timedelta(days=1), "view", 1)
    count_events(datetime.now(UTC) - timedelta(days=2), "view", 1)
    monkeypatch.setattr("jobs.similarity.READ_EVENTS", 1)
    monkeypatch.setattr("jobs.similarity.history_start", lambda *_: datetime.now(UTC) - timedelta(days=90))
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}T00:00+00:00"
    answer = similarity.run(Similarity())
    assert (answer["outcome"], answer["trained_since"]) == ("submitted", yesterday)


def count_events(day: datetime, event_type: str, events: int) -> None:
    postgres.write(
        "INSERT INTO daily_event_stats VALUES (:day, :type, :events, 1, 1)",
        day=day.date(),
        type=event_type,
        events=events,
    )


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_failed_batch_leaves_the_active_version_and_says_why(spark: SparkServer, state: str) -> None:
    before, batch = active(), submit()
    spark.end(batch, state, "Job failed with message [OutOfMemoryError]")
    answer = finish()
    assert (answer["outcome"], active()) == ("kept", before)
    assert answer["reason"] == f"the batch ended as {state}: Job failed with message [OutOfMemoryError]"
    assert runs() == [("published", before), ("kept", None)]
    verdict, detail = finding("model")
    assert verdict == "warning"
    assert "OutOfMemoryError" in detail
    # the next night tries again
    assert training_batches.find_open("similarity") is None


def test_a_batch_that_was_deleted_or_wrote_half_of_its_result_leaves_the_active_version(spark: SparkServer) -> None:
    before, batch = active(), submit()
    del spark.batches[batch]
    assert finish()["reason"] == "the batch was deleted before its result was read"
    postgres.write("UPDATE training_batches SET id = id || '-before'")
    half = submit()
    run_batch(spark, half)
    output = Path(spark.arguments(half)["output"].removeprefix("file://"))
    (output / "model=0" / "_SUCCESS").unlink()
    assert "_SUCCESS" in finish()["reason"]
    assert active() == before


@pytest.mark.parametrize(("hours", "outcome"), [(6.9, "waiting"), (7.1, "kept")])
def test_a_batch_that_never_ends_is_given_up(spark: SparkServer, hours: float, outcome: str) -> None:
    before, batch = active(), submit()
    spark.end(batch, "RUNNING")
    submitted(hours_ago=hours)
    assert finish()["outcome"] == outcome
    assert active() == before


@pytest.mark.parametrize(("hours", "outcome"), [(6.9, None), (7.1, "kept")])
def test_a_service_that_refuses_for_too_long_is_given_up(spark: SparkServer, hours: float, outcome: str | None) -> None:
    before, _ = active(), submit()
    spark.refuses = (403, "Permission denied")
    submitted(hours_ago=hours)
    if outcome is None:
        with pytest.raises(Unavailable, match="Permission denied"):
            finish()
        assert training_batches.find_open("similarity") is not None
    else:
        assert "Permission denied" in finish()["reason"]
        assert training_batches.find_open("similarity") is None
    assert active() == before


def test_an_open_training_ends_when_spark_is_switched_off(env: Environment, spark: SparkServer) -> None:
    before, _ = active(), submit()
    with settings_of(env | {"SPARK_BATCHES": "", "SIMILARITY_ENGINE": "local"}):
        assert finish()["reason"] == "SPARK_BATCHES is no longer set"
        assert finish()["outcome"] == "idle"
    assert active() == before


def test_what_was_not_submitted_is_submitted_later_under_the_same_id(spark: SparkServer) -> None:
    spark.refuses = (503, "The service is currently unavailable.")
    with pytest.raises(Unavailable, match="The service is currently unavailable"):
        similarity.run(Similarity())
    batch = training_batches.find_open("similarity")
    assert batch is not None
    assert batch.submitted_at is None
    spark.refuses = None
    assert finish() | {"seconds": 0} == {
        "job": "finish_training",
        "outcome": "submitted",
        "batch": batch.id,
        "seconds": 0,
    }
    assert list(spark.batches) == [batch.id]
    run_batch(spark, batch.id)
    assert finish()["outcome"] == "published"


@pytest.mark.parametrize(
    ("status", "hours", "outcome"), [(403, 0.9, None), (403, 1.1, "kept"), (400, 1.1, "kept"), (429, 1.1, None)]
)
def test_a_submission_that_google_refuses_is_given_up_after_an_hour(
    spark: SparkServer, status: int, hours: float, outcome: str | None
) -> None:
    before = active()
    spark.refuses = (status, "No such subnetwork")
    with pytest.raises(Unavailable):
        similarity.run(Similarity())
    started(hours_ago=hours)
    if outcome is None:
        with pytest.raises(Unavailable, match="No such subnetwork"):
            finish()
        assert training_batches.find_open("similarity") is not None
    else:
        assert "No such subnetwork" in finish()["reason"]
        assert training_batches.find_open("similarity") is None
    assert active() == before


def test_the_time_of_a_batch_counts_from_its_submission(spark: SparkServer) -> None:
    spark.refuses = (503, "The service is currently unavailable.")
    with pytest.raises(Unavailable):
        similarity.run(Similarity())
    spark.refuses = None
    started(hours_ago=6.9)
    batch = finish()["batch"]
    started(hours_ago=13)
    spark.end(batch, "RUNNING")
    assert finish()["outcome"] == "waiting"


def test_a_batch_whose_submission_was_not_answered_has_its_whole_time(spark: SparkServer) -> None:
    batch = submit()
    postgres.write("UPDATE training_batches SET submitted_at = NULL")
    started(hours_ago=7.1)
    spark.end(batch, "RUNNING")
    assert finish()["outcome"] == "waiting"
    stored = training_batches.find_open("similarity")
    assert stored is not None
    assert stored.submitted_at is not None


def test_two_submissions_at_once_are_one_batch(spark: SparkServer) -> None:
    batch = submit()
    again = similarity.run(Similarity())
    assert (again["outcome"], again["batch"]) == ("waiting", batch)
    opened = training_batches.find_open("similarity")
    assert opened is not None
    assert not training_batches.open_batch("aisle-another", "similarity", opened.started_at, {})
    body = spark_batches.batch_body(["--k", "50"], spark_batches.place())
    spark_batches.create_batch(batch, body)
    assert list(spark.batches) == [batch]
    # an id of another request is a conflict, which is no failure: the batch exists
    spark.batches[batch]["requestId"] = "another"
    spark_batches.create_batch(batch, body)
    # and a training of another job is a bystander
    assert training_batches.open_batch("aisle-another", "another", opened.started_at, {})


def test_a_version_published_before_the_job_died_is_not_published_again(spark: SparkServer) -> None:
    batch = submit()
    run_batch(spark, batch)
    version = finish()["version"]
    postgres.write("UPDATE training_batches SET ended_at = NULL, outcome = NULL")
    before = redis_sync.client().hgetall(protocol.EPOCHS)
    assert finish() | {"seconds": 0} == {
        "job": "finish_training",
        "outcome": "published",
        "batch": batch,
        "version": version,
        "seconds": 0,
    }
    assert len(models.list_models()) == 2
    # it may have died before it dropped the answers of the version before
    after = redis_sync.client().hgetall(protocol.EPOCHS)
    dropped = {scope.decode() for scope in after if after[scope] != before.get(scope)}
    assert dropped == {"similar", "recommendations", "dashboard"}
    assert training_batches.find_open("similarity") is None


def test_a_version_that_was_stored_and_never_activated_is_published_again(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, batch = active(), submit()
    run_batch(spark, batch)

    def die(_connection: object, _version: int) -> None:
        raise Unavailable("the lock was not free")

    with monkeypatch.context() as patched:
        patched.setattr(models, "_switch", die)
        with pytest.raises(Unavailable):
            finish()
    assert active() == before
    assert len(models.list_models()) == 2
    answer = finish()
    assert (answer["outcome"], active()) == ("published", answer["version"])
    assert runs() == [("published", before), ("published", active())]


def test_a_result_whose_publication_is_killed_each_time_is_given_up(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, batch = active(), submit()
    run_batch(spark, batch)

    class Killed(BaseException):
        """What no handler of the job sees, as if the process had been killed."""

    def kill(*_arguments: object, **_options: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("jobs.finish_training.read_neighbours", kill)
        for _ in range(PUBLICATIONS_MAX):
            with pytest.raises(Killed):
                finish()
            assert training_batches.find_open("similarity") is not None
        answer = finish()
    assert answer["outcome"] == "kept"
    assert "was begun 3 times and never reported an end" in answer["reason"]
    assert (active(), training_batches.find_open("similarity")) == (before, None)


def test_publications_that_fail_with_an_error_do_not_count_as_killed(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, batch = active(), submit()
    run_batch(spark, batch)

    def fail(*_arguments: object, **_options: object) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(models, "publish", fail)
        for _ in range(PUBLICATIONS_MAX + 1):
            with pytest.raises(Unavailable):
                finish()
    assert finish()["outcome"] == "published"
    assert active() != before


def test_a_result_that_can_never_be_published_is_given_up_once_the_batch_is_overdue(spark: SparkServer) -> None:
    before, batch = active(), submit()
    run_batch(spark, batch)
    for file in Path(spark.arguments(batch)["output"].removeprefix("file://")).glob("model=*/*.parquet"):
        file.write_bytes(b"no Parquet")
    with pytest.raises(Exception, match="Parquet"):
        finish()
    assert training_batches.find_open("similarity") is not None
    submitted(hours_ago=8)
    answer = finish()
    assert answer["outcome"] == "kept"
    assert "cannot be published" in answer["reason"]
    assert (active(), training_batches.find_open("similarity")) == (before, None)


@pytest.mark.parametrize(
    ("engine", "pairs", "products", "expected"),
    [
        ("local", 10**12, 10**6, False),
        ("spark", 0, 0, True),
        ("auto", 99, 0, False),
        ("auto", 100, 0, True),
        # a product takes the memory of seven pairs
        ("auto", 29, 10, False),
        ("auto", 30, 10, True),
    ],
)
def test_the_engine_follows_the_setting_and_the_size_of_the_shop(
    env: Environment, engine: str, pairs: int, products: int, expected: bool
) -> None:
    with settings_of(env | {"SIMILARITY_ENGINE": engine, "SPARK_FROM_PAIRS": "100"}):
        assert trains_on_spark(pairs, products) is expected


def test_few_users_are_counted_and_not_estimated(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    add_events(checkerboard_views(add_plain_products(6), 8))
    assert interactions.estimate_size(None) == interactions.estimate_size(None, one_in=1) != HistorySize(0, 0)
    # a sample that says enough is believed
    monkeypatch.setattr("shared.storage.events.interactions.SAMPLE_EVENTS_MIN", 0)
    assert interactions.estimate_size(None) == HistorySize(0, 0)
    assert interactions.count_products() == 6


def test_a_training_that_another_release_recorded_is_given_up(spark: SparkServer) -> None:
    before, _ = active(), submit()
    postgres.write("UPDATE training_batches SET choice = choice - 'shares' || '{\"weights\": []}'")
    answer = finish()
    assert answer["outcome"] == "kept"
    assert answer["reason"].startswith("another release recorded it: ")
    assert (active(), training_batches.find_open("similarity")) == (before, None)


def test_a_result_does_not_replace_a_version_that_was_published_meanwhile(env: Environment, spark: SparkServer) -> None:
    batch = submit()
    with settings_of(env | {"SIMILARITY_ENGINE": "local"}):
        newer = similarity.run(Similarity())["version"]
    run_batch(spark, batch)
    answer = finish()
    assert answer["outcome"] == "kept"
    assert answer["reason"] == f"version {newer} was published after it had begun"
    assert active() == newer


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("score", float("nan"), "a score is missing"),
        ("score", None, "a score is missing"),
        ("score", 0.0, "a score is missing"),
        ("neighbour_id", -5, "not a product's id"),
        ("neighbour_id", "product_id", "its own neighbour"),
    ],
)
def test_a_damaged_result_is_not_published(spark: SparkServer, column: str, value: object, message: str) -> None:
    before, batch = active(), submit()
    run_batch(spark, batch)
    (file,) = Path(spark.arguments(batch)["output"].removeprefix("file://")).glob("model=*/*.parquet")
    table = pq.read_table(file)
    values = table[column].to_pylist()
    values[-1] = table[value].to_pylist()[-1] if value == "product_id" else value
    changed = pa.array(values, table.schema.field(column).type)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, changed), file)
    with pytest.raises(ValueError, match=message):
        finish()
    assert active() == before


def test_attempts_that_fail_to_activate_leave_no_versions_behind(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, batch = active(), submit()
    run_batch(spark, batch)

    def die(_connection: object, _version: int) -> None:
        raise Unavailable("the lock was not free")

    with monkeypatch.context() as patched:
        patched.setattr(models, "_switch", die)
        for _ in range(models.MAX_VERSIONS + 1):
            with pytest.raises(Unavailable):
                finish()
    assert [model.version for model in models.list_models() if model.stored] == [before]
    assert finish()["dropped"] == []
    assert {model.version for model in models.list_models() if model.stored} == {before, active()}


def test_a_version_whose_activation_was_not_confirmed_keeps_its_neighbours(
    spark: SparkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, batch = active(), submit()
    run_batch(spark, batch)
    lock, calls = models._lock, []

    def lose(connection: Connection) -> None:
        # the third lock is that of the discarding: the activation has been committed, and its answer lost
        calls.append(None)
        if len(calls) == 3:
            postgres.write("UPDATE models SET active = (version = (SELECT max(version) FROM models))")
        lock(connection)

    def die(_connection: object, _version: int) -> None:
        raise Unavailable("the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr(models, "_lock", lose)
        patched.setattr(models, "_switch", die)
        with pytest.raises(Unavailable):
            finish()
    assert active() > before
    assert rows(active())


def test_without_a_place_for_batches_the_job_ends_before_it_tunes(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_events(checkerboard_views(add_plain_products(6), 8))
    monkeypatch.setattr("jobs.similarity.choose_model", None)
    with settings_of(env | {"SIMILARITY_ENGINE": "spark"}), pytest.raises(MissingSetting, match="SPARK_BATCHES"):
        similarity.run(Similarity())


def test_repeat_weights_follow_the_scores_of_all_users() -> None:
    parameters = {"k": 50, "serving": {"repeat_weight": 0.2, "blend": 0.8}, "replenishment": {"a": 1}}
    training = PreparedTraining([], [], "cosine", parameters, {}, {}, mean_score=0.1)
    assert in_scores_of(training, 0.05) == parameters | {"serving": {"repeat_weight": 0.1, "blend": 0.8}}


def test_a_training_starts_where_a_local_one_would(env: Environment) -> None:
    add_events(checkerboard_views(add_plain_products(6), 8))
    assert history_start(90, 25) is None
    assert history_start(90, 24) is not None
