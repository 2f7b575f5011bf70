"""The command line: its arguments, output, and messages for bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.__main__ import COMMANDS, HELP, WITH_OWN_HELP, main
from local.commands import loaded, parameters, quoted
from local.errors import Refused
from local.help import of_command
from local.places import ROOT
from local.redis_cli import formatted
from local.services import google_emulator, with_driver
from local.state import State
from local.status import duration, table
from local.up import chosen_data, chosen_port


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve"], "Unknown command 'serve'. See ./aisle help."),
        (["up", "--port", "1"], "The only argument of up is --reload. See ./aisle up --help."),
        (["job"], "Name a job: trending"),
        (["job", "nothing"], "Unknown job 'nothing'. The jobs are trending"),
        (["job", "popular", "k"], "Expected KEY=VALUE, got 'k'"),
        (["load"], "Load what?"),
        (["open", "cart"], "Open one page: storefront, console, docs."),
        (["open", "console", "docs"], "Open one page: storefront, console, docs."),
        (["load", "/no/such.csv"], "There is no file /no/such.csv."),
        (["reset", "--force"], "The only argument of reset is --yes"),
        (["lock", "now"], "The only argument of lock is --upgrade"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"aisle: {message}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize("command", ["env", "job popular", "psql", "redis-cli PING", "load synthetic", "open"])
def test_commands_on_a_running_system_say_that_none_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 1
    assert "Aisle is not running on" in capsys.readouterr().err


def test_status_of_nothing_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    assert capsys.readouterr().out.startswith("Aisle is not running on")


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - WITH_OWN_HELP - {"--help", "-h"}))
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_may_follow_a_command(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, option]) == 0
    assert capsys.readouterr() == (of_command(command) or HELP, "")


def test_help_beside_other_arguments_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--help", "now"]) == 2
    assert capsys.readouterr().err == "aisle: The only argument of up is --reload. See ./aisle up --help.\n"


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_help_installs_nothing(arguments: list[str], tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "AISLE_VENV": str(tmp_path / "venv")}
    ran = subprocess.run(
        [ROOT / "aisle", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, HELP, "")
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - WITH_OWN_HELP - {"--help", "-h", "job"}))
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_a_command_needs_no_packages(command: str, option: str, tmp_path: Path) -> None:
    (tmp_path / "python3.13").write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    (tmp_path / "python3.13").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AISLE_VENV": str(tmp_path / "venv")}
    ran = subprocess.run(
        [ROOT / "aisle", command, option], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, of_command(command) or HELP, "")
    assert not (tmp_path / "venv").exists()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == HELP
    assert all(f"\n  {name}" in HELP for name in COMMANDS if not name.startswith("-"))


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "80 80", "²"])
def test_a_number_outside_the_range_of_ports_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLE_PORT", value)
    with pytest.raises(Refused, match="AISLE_PORT cannot be"):
        chosen_port()


def test_an_unknown_shop_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLE_DATA", "books")
    with pytest.raises(Refused, match="Set it to one of online_retail, synthetic, none"):
        chosen_data()


def test_parameters_are_json_or_text() -> None:
    assert parameters(["k=5", "name=a=b", 'x=[1, "2"]', "y=true", "z="]) == {
        "k": 5,
        "name": "a=b",
        "x": [1, "2"],
        "y": True,
        "z": "",
    }
    with pytest.raises(Refused, match="k is given twice"):
        parameters(["k=1", "k=2"])


@pytest.mark.parametrize("value", ["", "plain", "it's", "a b", '$HOME `id` \\ " ; # !', "two\nlines", "ünï"])
def test_a_shell_reads_back_what_is_quoted(value: str) -> None:
    script = f'export X={quoted(value)}; printf %s "$X"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode() == value


def test_a_database_url_gets_the_driver_in_use() -> None:
    assert with_driver("postgres://u@h/d") == with_driver("postgresql://u@h/d") == "postgresql+pg8000://u@h/d"
    assert with_driver("postgresql+pg8000://u@h/d") == "postgresql+pg8000://u@h/d"


def test_a_missing_google_emulator_names_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="gcloud components install pubsub-emulator"):
        google_emulator({"PATH": str(tmp_path)})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gcloud").touch(mode=0o755)
    with pytest.raises(Refused, match=f"but {tmp_path} lacks it"):
        google_emulator({"PATH": str(tmp_path / "bin")})


def test_replies_look_as_redis_cli_s() -> None:
    assert formatted(None) == "(nil)"
    assert formatted(3) == "(integer) 3"
    assert formatted(b'say "hi"') == '"say \\"hi\\""'
    assert formatted(b"\x00\xff") == '"\\x00\\xff"'
    assert formatted([b"a", [1, b"b"]]) == '1) "a"\n2) 1) (integer) 1\n   2) "b"'
    assert formatted([]) == "(empty array)"


def test_tables_and_durations() -> None:
    assert table([("A", "BB"), ("ccc", "d")]) == "A    BB\nccc  d"
    assert [duration(seconds) for seconds in (5, 65, 3_700, 90_000)] == ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]


def test_secrets_and_ports_are_kept_and_private(tmp_path: Path) -> None:
    home = tmp_path / "kept"
    state = State.create(home)
    secret = state.secret("admin")
    state.remember_port("redis", 12345)
    assert State.create(home).secret("admin") == secret
    assert len(secret) >= 32
    assert (home / "state.json").stat().st_mode & 0o077 == 0
    assert json.loads((home / "state.json").read_text())["ports"] == {"redis": 12345}


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "photos"
    home.mkdir()
    (home / "cat.jpg").touch()
    with pytest.raises(Refused, match="holds files that are not Aisle's"):
        State.create(home)
    assert [path.name for path in home.iterdir()] == ["cat.jpg"]


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Refused, match="is not a folder"):
            State.create(home)


def test_damaged_state_is_refused_with_its_name(tmp_path: Path) -> None:
    State.create(tmp_path / "state")
    (tmp_path / "state" / "state.json").write_text("{")
    with pytest.raises(Refused, match=r"state\.json is damaged"):
        State.create(tmp_path / "state")


def test_a_folder_in_use_names_the_process(tmp_path: Path) -> None:
    first, second = State.create(tmp_path / "s"), State.create(tmp_path / "s")
    first.lock(8123)
    with pytest.raises(Refused, match=rf"process {os.getpid()}, http://localhost:8123"):
        second.lock(8124)
    first.unlock()
    second.lock(8124)
    second.unlock()


def test_reset_deletes_aisle_s_files_and_no_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "state"
    assert main(["reset", "--yes"]) == 0
    home.mkdir()
    (home / "cat.jpg").touch()
    assert main(["reset", "--yes"]) == 2
    (home / "cat.jpg").unlink()
    state = State.create(home)
    (home / "logs").mkdir()
    (home / "cat.jpg").touch()
    state.lock()
    assert main(["reset", "--yes"]) == 2
    assert (home / "logs").exists()
    state.unlock()
    assert main(["reset", "--yes"]) == 0
    assert [path.name for path in home.iterdir()] == ["cat.jpg"]
    capsys.readouterr()


def test_reset_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    State.create(tmp_path / "state")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _prompt: "n")
    assert main(["reset"]) == 1
    assert (tmp_path / "state").exists()
    monkeypatch.setattr("builtins.input", lambda _prompt: "y")
    assert main(["reset"]) == 0
    assert not (tmp_path / "state").exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"rows": 1200, "stored": 1200}, ["Stored 1,200 of 1,200 events.", "./aisle job similarity"]),
        ({"rows": 5, "stored": 2, "known": 1, "rejected": 2}, ["2 of 5", "1 were stored before; 2 rejected"]),
        ({"rows": 5, "known": 5}, ["Stored 0 of 5 events (5 were stored before)", "nothing is left to do"]),
    ],
)
def test_a_load_says_in_one_line_what_it_did_and_what_is_next(answer: dict[str, int], says: list[str]) -> None:
    line = loaded(answer)
    assert "\n" not in line
    assert all(part in line for part in says)
