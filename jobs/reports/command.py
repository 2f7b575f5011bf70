"""``./aisle evaluate``: measure recommendations on files of events, without a running system."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from jobs.data.catalog import Catalog
from jobs.data.event_rows import EventRules
from jobs.data.files import CatalogFile, EventFile, UnreadableFile, histories, read_catalog, read_events
from jobs.data.history import History
from jobs.offline.split import (
    NothingToMeasure,
    Split,
    estimate_holdout_days,
    join_histories,
    leave_last_out,
    split_by_file,
    split_last_days,
)
from jobs.reports.offline_evaluation import MOST_POPULAR, RECENTLY_POPULAR, evaluate
from jobs.reports.report import history_label, render_page
from jobs.tuning.trial import Trial
from shared.domain.events import EventType
from shared.errors import InvalidRequest
from shared.tables.columns import PRODUCT_COLUMNS, STANDALONE_EVENT_COLUMNS, Columns, parse_columns
from shared.tables.csv_files import text_options
from shared.tables.times import TimestampUnit, parse_zone
from shared.tables.values import parse_event_types

UNITS: Final = get_args(TimestampUnit)
METRICS: Final = ("ndcg@20", "recall@20", "precision@20", "hit@20", "mrr@20")


def days_of(text: str) -> float | None:
    """Return the days of ``last:30d``; None for another kind of split. Raises ValueError if they are not valid."""
    if not text.startswith("last:"):
        return None
    try:
        days = float(text.removeprefix("last:").removesuffix("d"))
    except ValueError:
        days = -1.0
    if not 0 < days < 36_500:
        raise ValueError(f"--split {text}: give last: and a number of days, as in last:30d")
    return days


def _split(text: str, history: History, others: Sequence[History], *, new_only: bool) -> Split:
    days = days_of(text)
    if days is not None:
        return split_last_days(history, days, new_only=new_only)
    if text == "leave-last-out":
        return leave_last_out(history, new_only=new_only)
    return split_by_file(history, others[0], new_only=new_only)


def _file_lines(result: dict[str, Any]) -> list[str]:
    """Return lines that say what became of each file's rows."""
    lines = []
    for file in result["files"]:
        line = f"{file['file']}: {file['rows']} rows read, {file['used']} used"
        if file["times_without_zone"]:
            line += f"; {file['times_without_zone']} times have no time zone and were read as {result['timezone']}"
        lines.append(line)
        lines += _left_out_lines(file["left_out"])
    if items := result.get("items"):
        lines.append(
            f"{items['file']}: {items['rows']} rows read; {items['matched']} of the {items['of']} items with events "
            "are in it"
        )
        lines += _left_out_lines(items["left_out"])
        lines += _left_out_lines(items["unread"], "read without this value")
    return lines


def _left_out_lines(entries: list[dict[str, Any]], what: str = "left out") -> list[str]:
    return [
        f"  {what}: {entry['count']}, the first in row {entry['rows'][0]}: {entry['reason']}"
        + (f" ({entry['example']})" if "example" in entry else "")
        for entry in entries
    ]


def _text(result: dict[str, Any]) -> str:
    lines = [
        *_file_lines(result),
        "",
        f"{result['users']} users, {result['pairs']} pairs to predict ({result['mode']}), cut {result['cut']} UTC; "
        f"trained on {result['train']['events']} events",
        f"choice: {result['choice']['algorithm']}: {result['choice']['why']}",
        "",
        " ".join(f"{name:>14}" for name in ("", *METRICS, "coverage@20")),
    ]
    for line in result["results"]:
        cells = [f"{line[name]['mean']:.4f}" for name in METRICS] + [f"{line['coverage@20']:.4f}"]
        lines.append(" ".join(f"{cell:>14}" for cell in (line["name"], *cells)))
    names = ["served", MOST_POPULAR, RECENTLY_POPULAR]
    if (best := result["best_single_model"]) is not None:
        names.append(best)
    lines += ["", "NDCG@20 by events in the user's history", *_history_lines(result["by_history"], names)]
    served = result["served"]["ndcg@20"]
    lines += ["", f"served NDCG@20 {served['mean']:.4f}, 95 % interval {served['low']:.4f} to {served['high']:.4f}"]
    return "\n".join(lines)


def _history_lines(groups: list[dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Return a line for each group of history lengths, with its users and the mean of each named method."""
    lines = [" ".join(f"{name:>16}" for name in ("events", "users", *names))]
    for group in groups:
        cells = (history_label(group), str(group["users"]), *(f"{group[name]:.4f}" for name in names))
        lines.append(" ".join(f"{cell:>16}" for cell in cells))
    return lines


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    command = argparse.ArgumentParser(
        prog="./aisle evaluate", description="Measure recommendations on files of events, without a running system."
    )
    command.add_argument(
        "--events",
        required=True,
        metavar="FILE",
        help="CSV, JSON lines or Parquet: user_id, item_id, event_type and timestamp, or their usual names",
    )
    command.add_argument(
        "--items",
        metavar="FILE",
        help="CSV, JSON lines or Parquet: item_id and, if known, category, brand, price, tags and item_group_id",
    )
    command.add_argument(
        "--split",
        default="last:30d",
        metavar="SPLIT",
        help="last:30d, leave-last-out, or a file of held-out events (default: %(default)s)",
    )
    mode = command.add_mutually_exclusive_group()
    mode.add_argument(
        "--new-only", action="store_true", help="predict only products that are new to the user (the default)"
    )
    mode.add_argument(
        "--repeats",
        action="store_true",
        help="predict every product that the user adds to the cart or buys, including known ones",
    )
    command.add_argument(
        "--time-budget", type=float, default=600.0, metavar="SECONDS", help="time for tuning (default: %(default)g)"
    )
    command.add_argument("--seed", type=int, default=0, help="seed of all random choices (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.add_argument("--report", metavar="FILE", help="write an HTML report to FILE")
    reading = command.add_argument_group("how the files are read (default: detected in each file; docs/import.md)")
    reading.add_argument(
        "--columns", metavar="FIELD:COLUMN,...", help="the file's column of a field, such as user_id:Kunde"
    )
    reading.add_argument(
        "--event-types", metavar="NAME:TYPE,...", help="further names of event types, such as kauf:purchase"
    )
    reading.add_argument(
        "--event-type", choices=list(EventType), help="the type of all events, if the file has no such column"
    )
    reading.add_argument(
        "--timestamp-unit", choices=UNITS, default="auto", help="unit of times (default: by the form of each)"
    )
    reading.add_argument("--timezone", metavar="ZONE", help="time zone of times without one (default: UTC)")
    reading.add_argument("--separator", metavar="CHARACTER", help="separator of a CSV: one character, or tab")
    reading.add_argument("--encoding", metavar="NAME", help="text encoding, such as windows-1252")
    reading.add_argument("--decimal", metavar="MARK", help="decimal mark of a CSV's numbers: . or ,")
    reading.add_argument("--format", choices=("csv", "jsonl", "parquet"), help="format (default: by the name's ending)")
    reading.add_argument("--items-columns", metavar="FIELD:COLUMN,...", help="as --columns, for the file of --items")
    return command


def _read_files(options: argparse.Namespace, *paths: str) -> list[EventFile]:
    columns = Columns(STANDALONE_EVENT_COLUMNS, parse_columns(options.columns, STANDALONE_EVENT_COLUMNS))
    written = text_options(options.separator, options.encoding, options.decimal)
    rules = EventRules(
        options.timestamp_unit,
        parse_zone(options.timezone),
        parse_event_types(options.event_types),
        EventType(options.event_type) if options.event_type else None,
    )
    files = [read_events(path, columns=columns, options=written, rules=rules, form=options.format) for path in paths]
    for file in files:
        if not len(file.users):
            reasons = file.left_out.sentence() or "it has no rows"
            raise NothingToMeasure(f"{file.path}: no usable events of {file.rows} rows: {reasons}")
    return files


def _with_left_out(message: str, files: Sequence[EventFile]) -> str:
    """Return the message followed by what was left out of the files, which may be its cause."""
    reasons = [f"{file.path}: {file.left_out.sentence()}" for file in files if file.left_out.counts]
    return message + (f" (left out: {'; '.join(reasons)})" if reasons else "")


def run(options: argparse.Namespace, report_trial: Callable[[Trial], None]) -> dict[str, Any]:
    """Return the evaluation as a JSON object. Raises UnreadableFile, NothingToMeasure or ValueError with the reason."""
    if not 0 <= options.time_budget < 1e6:
        raise ValueError("--time-budget must be a number of seconds, at least 0")
    days = days_of(options.split)
    paths = [options.events]
    if days is None and options.split != "leave-last-out":
        paths.append(options.split)
    try:
        files = _read_files(options, *paths)
        items_columns = Columns(PRODUCT_COLUMNS, parse_columns(options.items_columns, PRODUCT_COLUMNS))
    except InvalidRequest as error:
        raise ValueError(error.detail) from None
    (history, *others), item_names = histories(*files)
    try:
        split = _split(options.split, history, others, new_only=not options.repeats)
    except NothingToMeasure as error:
        raise NothingToMeasure(_with_left_out(str(error), files)) from None
    items: CatalogFile | None = None
    # codes without events are kept: catalog and history use the codes of all files
    catalog = Catalog.unknown(len(item_names))
    if options.items:
        items = read_catalog(options.items, item_names, columns=items_columns)
        if not items.matched:
            raise UnreadableFile(
                f"{options.items}: none of its {items.rows} rows has the id of an item with events; such ids look "
                f"like {', '.join(map(str, item_names[:3]))}"
            )
        catalog = items.catalog
    if others:
        catalog = catalog.select(join_histories(history, others[0]).product_ids)
        days = estimate_holdout_days(history, others[0])
    evaluation = evaluate(
        split,
        catalog,
        time_budget_s=options.time_budget,
        holdout_days=days,
        leave_last=days is None,
        seed=options.seed,
        report=report_trial,
    )
    dropped: Counter[str] = sum((file.left_out.counts for file in files), Counter())
    result: dict[str, Any] = {
        "split": options.split,
        "left_out": dict(dropped),
        "timezone": options.timezone or "UTC",
        "files": [file.report() for file in files],
    }
    if items is not None:
        result["items"] = items.report()
    return {**result, **evaluation.as_json()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. For input that cannot be measured, print the reason and return 2."""
    options = parser().parse_args(argv)

    def report_trial(trial: Trial) -> None:
        sys.stderr.write(f"{trial.algorithm:>12} NDCG@20 {trial.score:.4f}, {trial.fits} fits\n")

    try:
        result = run(options, report_trial)
        if options.report:
            Path(options.report).write_text(render_page([result]), encoding="utf-8")
    except (UnreadableFile, NothingToMeasure, ValueError, OSError) as error:
        sys.stderr.write(f"evaluate: {' '.join(str(error).split())}\n")
        return 2
    sys.stdout.write((json.dumps(result, indent=1) if options.json else _text(result)) + "\n")
    return 0
