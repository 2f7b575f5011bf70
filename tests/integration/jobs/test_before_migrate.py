"""Jobs that Cloud Scheduler calls before the first migration answer 409, which no alert counts."""

import pytest

from shared.clients import postgres
from shared.manifest import manifest
from tests.integration.conftest import Running, Serve, settings_of

# replay_dead_letters reads no table before it finds a dead letter, and heavy jobs run too rarely to alert
SCHEDULED = [
    entry.name
    for entry in manifest().of_kind("job")
    if entry.schedule and not entry.heavy and entry.name != "replay_dead_letters"
]


@pytest.fixture
def unmigrated(services: Running) -> object:
    """A database that exists, and has nothing in it."""
    services.administrate("CREATE DATABASE unmigrated")
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url("unmigrated")}):
            yield
    finally:
        services.administrate("DROP DATABASE unmigrated WITH (FORCE)")


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_scheduled_job_before_the_first_migration_is_no_failure(unmigrated: object, serve: Serve, name: str) -> None:
    answer = serve(name).post("/", json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:aisle:problem:schema-missing"), answer.text
    assert "migrate" in answer.json()["detail"]


def test_neither_is_one_whose_role_does_not_exist_yet(services: Running, unmigrated: object, serve: Serve) -> None:
    with settings_of(
        services.environment | {"DATABASE_URL": services.url("unmigrated"), "DATABASE_ROLE": "aisle_nowhere"}
    ):
        answer = serve("popular").post("/", json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:aisle:problem:schema-missing"), answer.text


def test_a_table_that_is_missing_from_a_schema_is_a_failure(env: object, serve: Serve) -> None:
    postgres.write("DROP TABLE outbox CASCADE")
    answer = serve("publish_outbox").post("/", json={})
    assert answer.status_code == 500, answer.text
    # a bystander
    assert serve("popular").post("/", json={}).status_code == 200
