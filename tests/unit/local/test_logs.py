"""`./aisle logs`: the end of a log, and what is added to it."""

import threading
import time
from pathlib import Path

import pytest

from local import logs
from local.__main__ import main
from local.errors import Refused


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AISLE_HOME", str(tmp_path))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "functions.log").write_text("".join(f"line {number}\n" for number in range(60)))
    (tmp_path / "logs" / "redis.log").write_text("other\n")
    for log in (tmp_path / "logs").iterdir():
        # as the system writes them; the search of all logs of a run looks at their mode
        log.chmod(0o600)
    return tmp_path / "logs"


def test_without_a_part_the_names_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs"]) == 0
    assert capsys.readouterr().out == "functions\nredis\n"


@pytest.mark.parametrize(("arguments", "first", "count"), [([], 10, 50), (["-n", "2"], 58, 2), (["-n", "99"], 0, 60)])
def test_the_last_lines_are_printed(
    arguments: list[str], first: int, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "functions", *arguments]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert (printed[0], len(printed)) == (f"line {first}", count)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "There is no log of 'nothing'. The logs are functions, redis."),
        (["functions", "redis"], "Unknown argument 'redis'"),
        (["functions", "--all"], "Unknown argument '--all'"),
        (["functions", "-n"], "-n needs a number"),
        (["functions", "-n", "-1"], "-n needs a number"),
        (["-f"], "-f needs the name of a part"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"aisle: {message}")


def test_a_system_that_never_ran_has_no_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "none"))
    assert main(["logs", "functions"]) == 1
    assert "Start the system with ./aisle up" in capsys.readouterr().err


def test_new_lines_follow_also_in_a_log_that_begins_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, end, printed = folder / "functions.log", threading.Event(), ""
    file = path.open()
    following = threading.Thread(target=logs.follow_file, args=(file, path, end.is_set))
    following.start()

    def wait_for(text: str) -> None:
        nonlocal printed
        deadline = time.monotonic() + 30
        while text not in printed and time.monotonic() < deadline:
            time.sleep(0.05)
            printed += capsys.readouterr().out
        assert text in printed

    wait_for("line 59\n")
    with path.open("a") as log:
        log.write("added\n")
    wait_for("added\n")
    path.write_text("anew\n")
    wait_for("anew\n")
    end.set()
    following.join()
    file.close()
    assert "other" not in printed


def test_arguments_come_in_any_order() -> None:
    assert logs.chosen(["-f", "-n", "3", "redis"]) == logs.chosen(["redis", "-n", "3", "-f"]) == ("redis", 3, True)
    with pytest.raises(Refused):
        logs.chosen(["-n", "x", "redis"])
