"""The doctor names what is wrong with a deployment, and the remedy."""

from datetime import timedelta

import pytest

from local import doctor as command
from local.errors import Refused
from shared import doctor
from shared.clients import postgres
from shared.manifest import manifest
from tests.integration.conftest import Server, settings_of
from tests.integration.people import ADMIN_TOKEN


def findings_by_check() -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in doctor.run_checks()}


def test_no_check_fails_on_a_complete_system(env: dict[str, str]) -> None:
    findings = findings_by_check()
    assert [finding for finding in findings.values() if finding.verdict == "failed"] == []
    assert findings["migrations"].verdict == findings["redis"].verdict == findings["topics"].verdict == "well"
    # nothing was trained and nothing ran
    assert findings["model"].verdict == findings["jobs"].verdict == "warning"


def test_a_migration_that_is_missing_is_named(env: dict[str, str]) -> None:
    postgres.write("DELETE FROM schema_migrations WHERE name = '0001_shop'")
    assert findings_by_check()["migrations"].verdict == "failed"
    assert "0001_shop" in findings_by_check()["migrations"].detail


def test_a_job_that_failed_is_named_with_its_reason(env: dict[str, str]) -> None:
    postgres.write(
        "INSERT INTO job_runs (job, outcome, details) VALUES ('trending', 'failed', '{\"error\": \"no disk\"}')"
    )
    assert findings_by_check()["jobs"].verdict == "failed"
    assert "trending (no disk)" in findings_by_check()["jobs"].detail


def test_a_job_that_did_not_run_for_long_is_late(env: dict[str, str]) -> None:
    for entry in manifest().of_kind("job"):
        postgres.write("INSERT INTO job_runs (job, outcome) VALUES (:name, 'succeeded')", name=entry.name)
    assert findings_by_check()["jobs"].verdict == "well"
    postgres.write("UPDATE job_runs SET started_at = now() - interval '1 hour' WHERE job = 'popular'")
    assert findings_by_check()["jobs"].verdict == "failed"
    assert "late: popular" in findings_by_check()["jobs"].detail


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
def test_the_interval_between_runs_is_read_from_the_schedule(schedule: str, apart: timedelta) -> None:
    assert doctor.interval(schedule) == apart


def test_an_unreachable_service_fails_its_check_and_no_other(env: dict[str, str]) -> None:
    with settings_of(env | {"REDIS_URL": "redis://127.0.0.1:1/0"}):
        findings = findings_by_check()
    assert findings["redis"].verdict == "failed"
    assert findings["database"].verdict == "well"


def test_without_a_database_the_other_checks_still_run(env: dict[str, str]) -> None:
    with settings_of(env | {"DATABASE_URL": "postgresql+pg8000://nobody:x@127.0.0.1:1/nothing"}):
        findings = findings_by_check()
    assert findings["database"].verdict == findings["migrations"].verdict == "failed"
    assert findings["redis"].verdict == "well"


def test_the_command_reads_a_deployed_doctor_by_its_url(
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


def test_an_argument_that_is_not_a_url_is_refused() -> None:
    with pytest.raises(Refused, match="is not a URL"):
        command.doctor(["production"])
