"""The client of Dataproc's batches, against a stand-in for the API."""

import json
from collections.abc import Iterator

import pytest

from shared.clients import spark_batches
from shared.errors import MissingSetting, Unavailable
from tests.integration.conftest import Environment, settings_of
from tests.integration.spark_server import SparkServer, serve_spark

WHERE = {
    "location": "europe-west1",
    "folder": "gs://shop-aisle-spark",
    "image": "europe-west1-docker.pkg.dev/shop/aisle-spark/similarity:1",
    "subnetwork": "aisle-spark",
    "service_account": "aisle-spark@shop.iam.gserviceaccount.com",
}


@pytest.fixture
def server(env: Environment) -> Iterator[SparkServer]:
    """The API, for the project of the tests."""
    with serve_spark(env["GOOGLE_CLOUD_PROJECT"]) as running:
        own = {"SPARK_BATCHES": json.dumps(WHERE), "SPARK_EMULATOR_HOST": running.host}
        with settings_of(env | own):
            yield running


def create(batch_id: str) -> None:
    where = spark_batches.place()
    spark_batches.create_batch(batch_id, spark_batches.batch_body(["--k", "50"], where))


def test_a_batch_is_created_once_and_its_state_is_read(server: SparkServer) -> None:
    assert spark_batches.read_batch("aisle-1") is None
    create("aisle-1")
    create("aisle-1")
    create("aisle-2")
    assert list(server.batches) == ["aisle-1", "aisle-2"]
    server.end("aisle-1", "FAILED", "no quota")
    assert spark_batches.read_batch("aisle-1") == ("FAILED", "no quota")
    assert spark_batches.read_batch("aisle-2") == ("PENDING", "")


def test_what_google_refuses_is_said_with_its_words(server: SparkServer) -> None:
    with pytest.raises(Unavailable, match="status 400: batch_id or request_id is malformed"):
        create("Not_An_Id")
    server.refuses = (403, "Permission 'dataproc.batches.get' denied")
    with pytest.raises(Unavailable, match=r"status 403: Permission 'dataproc.batches.get' denied"):
        spark_batches.read_batch("aisle-1")


def test_a_service_that_does_not_answer_is_unavailable(env: Environment) -> None:
    own = {"SPARK_BATCHES": json.dumps(WHERE), "SPARK_EMULATOR_HOST": "127.0.0.1:1"}
    with settings_of(env | own), pytest.raises(Unavailable, match="Spark does not answer"):
        spark_batches.read_batch("aisle-1")


def test_without_its_setting_nothing_is_submitted(env: Environment) -> None:
    with pytest.raises(MissingSetting, match="SPARK_BATCHES"):
        create("aisle-1")
