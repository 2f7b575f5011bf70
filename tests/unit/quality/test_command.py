"""The command line: files in, figures out, and one line of reason for what cannot be measured."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jobs.reports.command import main
from tests.unit.quality import data


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A shop's events as CSV and parquet, and its items."""
    history = data.shop(events=2500)
    names = {1.0: "view", 3.0: "add_to_cart", 5.0: "purchase"}
    table = pd.DataFrame(
        {
            "user_id": [f"u{user}" for user in history.users],
            "item_id": [f"i{item}" for item in history.items],
            "event_type": [names[float(weight)] for weight in history.weights],
            "timestamp": history.times.astype("datetime64[ms]").astype(np.int64),
        }
    )
    table.to_parquet(tmp_path / "events.parquet")
    table.assign(timestamp=[f"{time}Z" for time in history.times.astype("datetime64[ms]")]).to_csv(
        tmp_path / "events.csv"
    )
    items = pd.DataFrame(
        {"item_id": [f"i{item}" for item in range(60)], "category": [f"c{item % 2}" for item in range(60)]}
    )
    items.assign(price=9.5, tags="red, blue").to_csv(tmp_path / "items.csv")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(one) for one in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_same_events_as_csv_and_parquet_give_the_same_figures(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for name in ("events.csv", "events.parquet"):
        code, out, _ = run(
            capsys,
            "--events",
            files / name,
            "--items",
            files / "items.csv",
            "--split",
            "last:14d",
            "--time-budget",
            0,
            "--json",
        )
        assert code == 0
        results.append(json.loads(out))
    assert results[0]["results"] == results[1]["results"]
    served = results[0]["served"]
    assert 0 < served["ndcg@20"]["low"] <= served["ndcg@20"]["mean"] <= served["ndcg@20"]["high"] <= 1
    assert [one["name"] for one in results[0]["results"]] == ["served", "most popular", "cosine"]
    assert {"coverage@20", "novelty@20", "diversity@20"} <= served.keys()


@pytest.mark.parametrize("split", ["last:10d", "leave-last-out", "FILE"])
@pytest.mark.parametrize("mode", ["--repeats", "--new-only"])
def test_every_split_and_mode_gives_a_table_and_a_page(
    files: Path, capsys: pytest.CaptureFixture[str], split: str, mode: str
) -> None:
    if split == "FILE":
        table = pd.read_csv(files / "events.csv")
        table.tail(300).to_csv(files / "later.csv")
        table.head(len(table) - 300).to_csv(files / "events.csv")
        split = str(files / "later.csv")
    page = files / "report.html"
    code, out, err = run(
        capsys, "--events", files / "events.csv", "--split", split, mode, "--time-budget", 0, "--report", page
    )
    assert code == 0, err
    assert "served NDCG@20" in out
    html = page.read_text()
    assert html.count("<svg") == 3
    assert "http" not in html.replace("http-equiv", "")


BAD = {
    "no such file": ("nothing.csv", "no such file"),
    "not a table": ("broken.parquet", "cannot be read as parquet"),
    "a column missing": ("columns.csv", "no column event_type"),
    "unknown types only": ("types.csv", "unknown event_type (applause): 1 row, the first in row 2"),
    "no rows": ("empty.csv", "no usable events"),
    "times that are none": ("times.csv", "neither an ISO 8601 time nor"),
    "one user, one event": ("one.csv", "no events before"),
    "the future": ("future.csv", "timestamp is in the future (2999-01-01): 1 row, the first in row 2"),
}


@pytest.mark.parametrize(("name", "reason"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_measured_is_one_line_of_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    head = "user_id,item_id,event_type,timestamp\n"
    (tmp_path / "broken.parquet").write_bytes(b"not a table")
    (tmp_path / "columns.csv").write_text("user_id,item_id\n1,2\n")
    (tmp_path / "types.csv").write_text(head + "1,2,applause,2026-01-01T00:00:00Z\n")
    (tmp_path / "empty.csv").write_text(head)
    (tmp_path / "times.csv").write_text(head + "1,2,view,yesterday\n")
    (tmp_path / "one.csv").write_text(head + "1,2,purchase,2026-01-01T00:00:00Z\n")
    (tmp_path / "future.csv").write_text(head + "1,2,purchase,2999-01-01\n")
    code, out, err = run(capsys, "--events", tmp_path / name, "--time-budget", 0)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert reason in err


@pytest.mark.parametrize("arguments", [["--split", "last:soon"], ["--split", "last:-1d"], ["--time-budget", "-1"]])
def test_options_that_make_no_sense_are_refused(
    files: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, _, err = run(capsys, "--events", files / "events.csv", *arguments)
    assert code == 2
    assert arguments[0] in err


def test_rows_that_cannot_be_used_are_left_out_and_counted(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(files / "events.csv")
    bad = table.head(3).assign(
        event_type=["applause", "search", "view"], timestamp=["2026-01-01", "2026-01-01", "never"]
    )
    pd.concat([table, bad]).to_csv(files / "mixed.csv")
    _, clean, _ = run(capsys, "--events", files / "events.csv", "--time-budget", 0, "--json")
    code, mixed, _ = run(capsys, "--events", files / "mixed.csv", "--time-budget", 0, "--json")
    assert code == 0
    assert json.loads(mixed)["left_out"] == {
        "unknown event_type": 1,
        "event_type has no weight": 1,
        "timestamp is neither an ISO 8601 time nor seconds, milliseconds or microseconds since 1970": 1,
    }
    assert json.loads(mixed)["results"] == json.loads(clean)["results"]
