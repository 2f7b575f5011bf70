"""``./aisle evaluate``: measure recommendations on files of events; needs no running system."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jobs.data.catalog import Catalog
from jobs.data.files import EventFile, UnreadableFile, histories, read_catalog, read_events
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
from jobs.reports.offline_evaluation import evaluate
from jobs.reports.report import render_page
from jobs.tuning.trial import Trial

METRICS: Final = ("ndcg@20", "recall@20", "precision@20", "hit@20", "mrr@20")


def days_of(text: str) -> float | None:
    """Return the days of ``last:30d``; None for another kind of split. Raises ValueError where they make no sense."""
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


def _text(result: dict[str, Any]) -> str:
    lines = [
        f"{result['users']} users, {result['pairs']} pairs asked for ({result['mode']}), cut {result['cut']} UTC; "
        f"learnt from {result['train']['events']} events",
        f"choice: {result['choice']['algorithm']}: {result['choice']['why']}",
        "",
        " ".join(f"{name:>14}" for name in ("", *METRICS, "coverage@20")),
    ]
    for one in result["results"]:
        cells = [f"{one[name]['mean']:.4f}" for name in METRICS] + [f"{one['coverage@20']:.4f}"]
        lines.append(" ".join(f"{cell:>14}" for cell in (one["name"], *cells)))
    served = result["served"]["ndcg@20"]
    lines += ["", f"served NDCG@20 {served['mean']:.4f}, 95 % interval {served['low']:.4f} to {served['high']:.4f}"]
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="./aisle evaluate", description=__doc__)
    made.add_argument(
        "--events", required=True, metavar="FILE", help="CSV or parquet: user_id, item_id, event_type, timestamp"
    )
    made.add_argument(
        "--items", metavar="FILE", help="CSV or parquet: item_id; category, brand, price, tags where known"
    )
    made.add_argument(
        "--split",
        default="last:30d",
        metavar="SPLIT",
        help="last:30d, leave-last-out, or a file of held-out events (default: %(default)s)",
    )
    mode = made.add_mutually_exclusive_group()
    mode.add_argument("--new-only", action="store_true", help="ask for products a user had not met (the default)")
    mode.add_argument("--repeats", action="store_true", help="ask for all products a user turned to")
    made.add_argument(
        "--time-budget", type=float, default=600.0, metavar="SECONDS", help="for tuning (default: %(default)g)"
    )
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.add_argument("--report", metavar="FILE", help="write the HTML report here")
    return made


def run(options: argparse.Namespace, say: Any) -> dict[str, Any]:
    """Return the evaluation as JSON. Raises UnreadableFile, NothingToMeasure or ValueError, with the reason."""
    if not 0 <= options.time_budget < 1e6:
        raise ValueError("--time-budget must be a number of seconds, at least 0")
    days = days_of(options.split)
    files: list[EventFile] = [read_events(options.events)]
    if days is None and options.split != "leave-last-out":
        files.append(read_events(options.split))
    (history, *others), item_names = histories(*files)
    if len(history) == 0:
        raise NothingToMeasure(f"{options.events}: no usable events; left out: {files[0].dropped or 'none'}")
    split = _split(options.split, history, others, new_only=not options.repeats)
    # codes with no event stay: catalog and history are in the codes of all files
    catalog = read_catalog(options.items, item_names) if options.items else Catalog.unknown(len(item_names))
    if others:
        catalog = catalog.select(join_histories(history, others[0]).product_ids)
    if others:
        days = estimate_holdout_days(history, others[0])
    evaluation = evaluate(
        split,
        catalog,
        time_budget_s=options.time_budget,
        holdout_days=days,
        leave_last=days is None,
        seed=options.seed,
        report=say,
    )
    dropped = {reason: number for one in files for reason, number in one.dropped.items()}
    return {"split": options.split, "left_out": dropped, **evaluation.as_json()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 2, with one line of reason, for input that cannot be measured."""
    options = parser().parse_args(argv)

    def say(trial: Trial) -> None:
        sys.stderr.write(f"{trial.algorithm:>12} NDCG@20 {trial.score:.4f}, {trial.fits} fits\n")

    try:
        result = run(options, say)
        if options.report:
            Path(options.report).write_text(render_page([result]), encoding="utf-8")
    except (UnreadableFile, NothingToMeasure, ValueError, OSError) as error:
        sys.stderr.write(f"evaluate: {error}\n")
        return 2
    sys.stdout.write((json.dumps(result, indent=1) if options.json else _text(result)) + "\n")
    return 0
