"""`./aisle export`: its arguments, what it prints, and which arguments of `./aisle load` are exports."""

import json
from pathlib import Path

import pytest

from local.__main__ import main
from local.errors import Refused
from local.export import chosen, exported, is_export, load_export, state


def test_a_folder_of_this_machine_becomes_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert chosen(["shop"]) == {"destination": str(tmp_path / "shop")}
    assert chosen(["gs://bucket/shop"]) == {"destination": "gs://bucket/shop"}


@pytest.mark.parametrize(
    "arguments",
    [["/x", "--format", "csv"], ["--format", "csv", "/x"], ["/x", "--format=csv"], ["/x", "format=csv"]],
)
def test_the_format_may_stand_anywhere(arguments: list[str]) -> None:
    assert chosen(arguments) == {"destination": "/x", "format": "csv"}


def test_further_parameters_are_those_of_the_job() -> None:
    assert chosen(["/x", "rows_per_file=10"]) == {"destination": "/x", "rows_per_file": 10}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name a folder or bucket"),
        (["--format", "csv"], "Name a folder or bucket"),
        (["format=csv"], "Name a folder or bucket"),
        (["/x", "--format"], "--format must be one of parquet, csv; got ''"),
        (["/x", "--format", "xml"], "--format must be one of parquet, csv; got 'xml'"),
        (["/x", "--format=xml"], "--format must be one of parquet, csv; got 'xml'"),
        (["/x", "/y"], "Expected KEY=VALUE, got '/y'"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_file_is_no_destination(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="file is a file"):
        chosen([str(tmp_path / "file")])


def test_folders_are_exports_and_files_are_histories(tmp_path: Path) -> None:
    (tmp_path / "events.csv").touch()
    assert is_export(str(tmp_path))
    assert is_export("gs://bucket/shop/")
    assert not is_export(str(tmp_path / "events.csv"))
    assert not is_export(str(tmp_path / "missing"))
    assert not is_export("gs://bucket/events.csv")


def test_an_export_has_no_options() -> None:
    with pytest.raises(Refused, match=r"Remove timezone\."):
        load_export("/x", {"timezone": "UTC"})


def test_the_progress_is_that_of_the_list_of_files(tmp_path: Path) -> None:
    assert state(tmp_path) == ""
    tables = {"products": [{"rows": 1000}], "events": [{"rows": 5000}, {"rows": 20}]}
    (tmp_path / "export.json").write_text(json.dumps({"complete": False, "tables": tables}))
    assert state(tmp_path) == "6,020 rows in 3 files"
    (tmp_path / "export.json").write_text(json.dumps({"complete": True, "tables": tables}))
    assert state(tmp_path) == ""
    (tmp_path / "export.json").write_text("{")
    assert state(tmp_path) == ""


def test_the_last_line_says_what_was_done_and_what_to_do_next() -> None:
    answer = {"rows": 7528, "as_of": "2026-11-26T04:11:06.4+00:00", "destination": "/x", "files": 2, "files_kept": 25}
    assert exported(answer) == (
        "Exported 7,528 rows as of 2026-11-26T04:11:06Z to /x (2 files written, 25 were there). The files hold "
        "personal data. Next: ./aisle load /x stores them in an empty shop."
    )
    assert "were there" not in exported(answer | {"files_kept": 0})
