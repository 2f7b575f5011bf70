"""The doctor says what is wrong with a deployment, and what to do."""

from datetime import timedelta

import pytest

from local import doctor as command
from local.errors import Refused
from shared import doctor
from shared.clients import postgres
from shared.manifest import manifest
from tests.integration.conftest import Server, settings_of
from tests.integration.people import ADMIN_TOKEN


def seen() -> dict[str, doctor.Finding]:
    return {one.check: one for one in doctor.run_checks()}


def test_a_whole_system_has_nothing_failed(env: dict[str, str]) -> None:
    found = seen()
    assert [one for one in found.values() if one.verdict == "failed"] == []
    assert found["migrations"].verdict == found["redis"].verdict == found["topics"].verdict == "well"
    # nothing was trained and nothing ran
    assert found["model"].verdict == found["jobs"].verdict == "warning"


def test_a_migration_that_is_missing_is_named(env: dict[str, str]) -> None:
    postgres.write("DELETE FROM schema_migrations WHERE name = '0001_shop'")
    assert seen()["migrations"].verdict == "failed"
    assert "0001_shop" in seen()["migrations"].detail


def test_a_job_that_failed_is_named_with_its_reason(env: dict[str, str]) -> None:
    postgres.write(
        "INSERT INTO job_runs (job, outcome, details) VALUES ('trending', 'failed', '{\"error\": \"no disk\"}')"
    )
    assert seen()["jobs"].verdict == "failed"
    assert "trending (no disk)" in seen()["jobs"].detail


def test_a_job_that_did_not_run_for_long_is_late(env: dict[str, str]) -> None:
    for entry in manifest().of_kind("job"):
        postgres.write("INSERT INTO job_runs (job, outcome) VALUES (:name, 'succeeded')", name=entry.name)
    assert seen()["jobs"].verdict == "well"
    postgres.write("UPDATE job_runs SET started_at = now() - interval '1 hour' WHERE job = 'popular'")
    assert seen()["jobs"].verdict == "failed"
    assert "late: popular" in seen()["jobs"].detail


@pytest.mark.parametrize(
    ("schedule", "apart"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("*/5 * * * *", timedelta(minutes=5)),
        ("5 * * * *", timedelta(hours=1)),
        ("0 2 * * *", timedelta(days=1)),
        ("0 4 * * 0", timedelta(days=7)),
        ("0 4 1 * *", timedelta(days=31)),
    ],
)
def test_how_far_turns_are_apart_is_read_from_the_schedule(schedule: str, apart: timedelta) -> None:
    assert doctor.interval(schedule) == apart


def test_what_is_away_is_said_and_the_rest_is_looked_at(env: dict[str, str]) -> None:
    with settings_of(env | {"REDIS_URL": "redis://127.0.0.1:1/0"}):
        found = seen()
    assert found["redis"].verdict == "failed"
    assert found["database"].verdict == "well"


def test_without_a_database_every_other_check_still_says_something(env: dict[str, str]) -> None:
    with settings_of(env | {"DATABASE_URL": "postgresql+pg8000://nobody:x@127.0.0.1:1/nothing"}):
        found = seen()
    assert found["database"].verdict == found["migrations"].verdict == "failed"
    assert found["redis"].verdict == "well"


def test_the_deployed_doctor_is_asked_by_its_url(
    env: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from local.apps import create

    with Server(create("admin")) as server:
        monkeypatch.setenv("ADMIN_TOKEN", ADMIN_TOKEN)
        assert command.doctor([server.url]) == 0
        assert "database" in capsys.readouterr().out


def test_the_command_looks_itself_where_settings_name_a_database(
    env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.doctor([]) == 0
    assert "applied" in capsys.readouterr().out


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(Refused, match="is not a URL"):
        command.doctor(["production"])
