"""`--help` of every command and job."""

import pytest

from local.__main__ import COMMANDS, WITH_OWN_HELP, main
from local.help import of_command, of_job
from shared.domain.events import EventType
from shared.manifest import manifest

ALIASES = {"help", "--help", "-h"}
JOBS = [entry.name for entry in manifest().of_kind("job")]


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - ALIASES - WITH_OWN_HELP))
def test_every_command_has_its_usage_and_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed == of_command(command)
    assert printed.startswith(f"Usage: ./aisle {command}")
    assert f"./aisle {command}" in printed.partition("Example")[2] or f"./aisle {command})" in printed


@pytest.mark.parametrize("job", JOBS)
def test_every_job_lists_its_parameters(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", job, "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"Usage: ./aisle job {job}")
    assert f"Example: ./aisle job {job}" in printed
    assert "``" not in printed


def test_a_parameter_has_its_kind_and_its_default() -> None:
    assert "  days   whole number (2)\n" in of_job("daily_stats")
    assert "  dry_run     true or false (false)\n" in of_job("import_catalog")
    assert "It has no parameters." in of_job("popular")
    assert "It has no parameters." not in of_job("daily_stats")
    assert "Example: ./aisle job first_admin email=EMAIL\n" in of_job("first_admin")


def test_a_parameter_has_its_meaning_below_and_lists_its_values() -> None:
    lines = of_job("load_events").splitlines()
    chunk = next(number for number, line in enumerate(lines) if line.startswith("  chunk_rows "))
    assert lines[chunk + 1] == " " * 19 + "rows per chunk; each chunk is one transaction"
    # defined elsewhere in the schema
    assert next(line for line in lines if line.startswith("  event_type ")).endswith(", ".join(EventType))
    assert max(map(len, lines)) <= 120


def test_an_unknown_job_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "nothing", "--help"]) == 2
    assert capsys.readouterr().err.startswith("aisle: Unknown job 'nothing'.")
