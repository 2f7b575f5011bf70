"""The command line: figures from files, or one line with the reason why they cannot be measured."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.reports.command import main
from tests.unit.offline import data


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
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


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
    names = [line["name"] for line in results[0]["results"]]
    assert names[:3] == ["served", "most popular", "recently popular"]
    # the four that run without any budget
    assert len(names) == 7
    assert "cosine" in names
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
def test_unmeasurable_input_is_one_line_with_the_reason(
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
def test_invalid_options_are_refused(files: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, _, err = run(capsys, "--events", files / "events.csv", *arguments)
    assert code == 2
    assert arguments[0] in err


def test_rows_that_cannot_be_used_are_left_out_and_counted(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(files / "events.csv")
    unusable = table.head(3).assign(
        event_type=["applause", "search", "view"], timestamp=["2026-01-01", "2026-01-01", "never"]
    )
    pd.concat([table, unusable]).to_csv(files / "mixed.csv")
    _, clean, _ = run(capsys, "--events", files / "events.csv", "--time-budget", 0, "--json")
    code, mixed, _ = run(capsys, "--events", files / "mixed.csv", "--time-budget", 0, "--json")
    assert code == 0
    assert json.loads(mixed)["left_out"] == {
        "unknown event_type": 1,
        "event_type has no weight": 1,
        "timestamp is neither an ISO 8601 time nor seconds, milliseconds or microseconds since 1970": 1,
    }
    assert json.loads(mixed)["results"] == json.loads(clean)["results"]


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code, out, err = run(capsys, *arguments, "--split", "last:14d", "--time-budget", 0, "--json")
    assert code == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the events under RetailRocket's names."""
    types = {"view": "view", "add_to_cart": "addtocart", "purchase": "transaction"}
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(table["timestamp"]).dt.as_unit("ms").astype("int64"),
            "visitorid": table["user_id"],
            "event": table["event_type"].map(types),
            "itemid": table["item_id"],
        }
    )


def test_one_history_gives_the_same_figures_however_it_is_written(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(files / "events.csv", index_col=0)
    times = pd.to_datetime(table["timestamp"])
    expected = evaluated(capsys, "--events", files / "events.csv")
    table.rename(columns=str.upper).to_csv(files / "caps.csv")
    renamed(table).to_csv(files / "rocket.csv", index=False)
    table.to_json(files / "events.jsonl", orient="records", lines=True)
    table.assign(timestamp=times.dt.strftime("%Y-%m-%d %H:%M:%S.%f UTC")).to_csv(files / "bigquery.csv")
    table.assign(timestamp=times.dt.strftime("%Y-%m-%d %H:%M:%S.%f")).to_csv(files / "zoneless.csv")
    # a third of the times as epoch numbers
    mixed = table["timestamp"].where(table.index % 3 > 0, renamed(table)["timestamp"].astype(str))
    table.assign(timestamp=mixed).to_csv(files / "mixed.csv")
    # each row three times
    pd.concat([table] * 3).to_csv(files / "thrice.csv")
    (files / "excel.csv").write_bytes(("sep=;\n" + table.to_csv(sep=";")).encode("utf-16"))
    (files / "packed.csv.gz").write_bytes(gzip.compress((files / "caps.csv").read_bytes()))
    for name in (
        "caps.csv",
        "rocket.csv",
        "events.jsonl",
        "bigquery.csv",
        "zoneless.csv",
        "mixed.csv",
        "thrice.csv",
        "excel.csv",
        "packed.csv.gz",
    ):
        result = evaluated(capsys, "--events", files / name)
        assert result["results"] == expected["results"], name
        assert result["files"][0]["used"] == expected["files"][0]["used"], name


def test_ids_of_events_and_items_match_whether_they_are_floats_or_not(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(files / "events.csv", index_col=0)
    numbers = table["item_id"].str.removeprefix("i").astype(int) + 1000
    items = pd.DataFrame({"SKU": range(1000, 1062), "Category": [f"c{n % 2}" for n in range(62)], "price": 2.5})
    items.to_csv(files / "numbers.csv", index=False)
    table.assign(item_id=numbers).to_csv(files / "ints.csv")
    table.assign(item_id=numbers.astype(float)).to_csv(files / "floats.csv")
    table.assign(item_id=numbers.astype(float)).to_parquet(files / "floats.parquet")
    results = [
        evaluated(capsys, "--events", files / name, "--items", files / "numbers.csv")
        for name in ("ints.csv", "floats.csv", "floats.parquet")
    ]
    assert results[0]["results"] == results[1]["results"] == results[2]["results"]
    matched = results[0]["items"]
    assert (matched["rows"], matched["matched"], matched["of"]) == (62, numbers.nunique(), numbers.nunique())
    assert matched["left_out"][0]["reason"] == "no event has this item"


def test_a_catalog_of_other_ids_is_refused_with_ids_of_both(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "other.csv").write_text("item_id,category\nA-1,lamps\nA-2,lamps\n")
    code, out, err = run(capsys, "--events", files / "events.csv", "--items", files / "other.csv", "--time-budget", 0)
    assert (code, out) == (2, "")
    assert "none of its 2 rows has the id of an item with events" in err
    assert err.count("\n") == 1


def test_a_row_of_the_far_future_does_not_move_the_cut(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = evaluated(capsys, "--events", files / "events.csv")
    text = (files / "events.csv").read_text()
    (files / "outlier.csv").write_text(text + "9,u1,i1,view,2099-01-01T00:00:00Z\n")
    result = evaluated(capsys, "--events", files / "outlier.csv")
    assert (result["cut"], result["results"]) == (expected["cut"], expected["results"])
    assert result["files"][0]["left_out"] == [
        {
            "reason": "timestamp is in the future",
            "count": 1,
            "rows": [len(text.splitlines()) + 1],
            "example": "2099-01-01T00:00:00Z",
        }
    ]


def test_the_table_reports_rows_read_left_out_and_matched(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (files / "events.csv").read_text()
    (files / "bad.csv").write_text(text + "9,u1,i1,applause,2026-01-01T00:00:00Z\n")
    rows = len(text.splitlines())
    code, out, _err = run(
        capsys, "--events", files / "bad.csv", "--items", files / "items.csv", "--split", "last:14d", "--time-budget", 0
    )
    assert code == 0
    assert f"bad.csv: {rows} rows read, " in out
    assert f"left out: 1, the first in row {rows + 1}: unknown event_type (applause)" in out
    assert "items.csv: 60 rows read; " in out


def test_a_message_about_the_split_names_the_events_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["u1,a,view,2026-03-01", "u1,b,Kauf,2026-04-28", "u2,a,view,2026-05-01"]
    (tmp_path / "h.csv").write_text("user_id,item_id,event_type,timestamp\n" + "\n".join(rows) + "\n")
    code, _out, err = run(capsys, "--events", tmp_path / "h.csv", "--time-budget", 0)
    assert code == 2
    assert "unknown event_type (Kauf): 1 row, the first in row 3" in err
    code, out, err = run(capsys, "--events", tmp_path / "h.csv", "--event-types", "kauf:purchase", "--time-budget", 0)
    assert code == 0, err
    assert "3 rows read, 3 used; 3 times have no time zone and were read as UTC" in out


def test_a_file_is_read_as_the_options_say(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv(files / "events.csv", index_col=0)
    expected = evaluated(capsys, "--events", files / "events.csv", "--items", files / "items.csv")
    written = pd.DataFrame(
        {
            "Kunde": table["user_id"],
            "Größe": table["item_id"],
            "Vorgang": table["event_type"].replace("purchase", "Kauf"),
            "Zeit": pd.to_datetime(table["timestamp"]).dt.tz_convert("+02:00").dt.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        }
    )
    written.to_csv(files / "german.txt", sep="|", encoding="mac_roman", index=False)
    pd.read_csv(files / "items.csv", index_col=0).rename(columns={"item_id": "Artikel"}).to_csv(files / "artikel.csv")
    options = (
        "--columns",
        "user_id:Kunde,external_id:Größe,event_type:Vorgang,timestamp:Zeit",
        "--event-types",
        "kauf:purchase",
        "--timezone",
        "+02:00",
        "--separator",
        "|",
        "--encoding",
        "macintosh",
        "--items",
        files / "artikel.csv",
        "--items-columns",
        "external_id:Artikel",
    )
    result = evaluated(capsys, "--events", files / "german.txt", *options)
    assert result["results"] == expected["results"]
    for name, value in (("--columns", "user:Kunde"), ("--timezone", "Mars"), ("--separator", "ab")):
        code, _, err = run(capsys, "--events", files / "german.txt", name, value)
        assert code == 2
        assert name.removeprefix("--") in err


def test_the_table_has_each_length_of_history(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--events", files / "events.csv", "--split", "last:7d", "--time-budget", 0)
    assert code == 0
    lines = out[out.index("by events in the user's history") :].splitlines()
    assert lines[1].split() == ["events", "users", "served", "most", "popular", "recently", "popular", "cosine"]
    rows = [line.split() for line in lines[2 : lines.index("")]]
    assert {row[0] for row in rows} <= {"1", "2", "3–4", "5–19", "20–99", "100+"}
    users = next(int(line.split()[0]) for line in out.splitlines() if " users, " in line)
    assert sum(int(row[1]) for row in rows) == users
    assert all(len(row) == 6 for row in rows)
