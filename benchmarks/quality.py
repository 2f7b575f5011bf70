"""Quality beside tuned peers: ``python -m benchmarks.quality --data DIR [--budget SECONDS] [NAME …]``.

DIR holds a folder for each real shop with events.parquet, items.parquet and perhaps test.parquet, in the columns of
``./aisle evaluate``; the other shops are generated (benchmarks/shops.py). All methods tune on the same inner split,
each with the same budget of processor seconds, of all threads together, so that a busy machine favours none.
Aisle's are predicted (docs/decisions/0032-predicted-cost.md), the peers' measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import Bench, Row
from benchmarks.peers import PEERS, K, best_answers, matrix_of
from benchmarks.shops import REAL_SHOPS, SYNTHETIC_SHOPS, Case, real_case, synthetic_case
from jobs.offline.metrics import bootstrap_interval, score_users
from jobs.offline.split import NothingToMeasure, Split
from jobs.reports.offline_evaluation import MOST_POPULAR, RECENTLY_POPULAR, by_history, evaluate
from jobs.reports.report import history_label
from jobs.tuning.splits import split_for_tuning
from local.places import ROOT

SERVED: Final = "served"
BEST_SINGLE: Final = "best single model"
ORACLE: Final = "oracle"
SEEDS: Final = (1, 2, 3, 4, 5)
SHOPS: Final = (*REAL_SHOPS, *SYNTHETIC_SHOPS)
# README's table shows these shops, each method tuned within this budget of processor seconds.
README_SHOPS: Final = ("online_retail", "sessions")
README_BUDGET_S: Final = 60.0
METRICS: Final = ("ndcg@20", "recall@20", "hit@20", "mrr@20")

TARGETS: Final = {
    ("online_retail", True): ("ndcg@20", 0.144),
    ("online_retail", False): ("ndcg@20", 0.365),
    ("sessions", True): ("ndcg@20", 0.325),
    ("synthetic", True): ("hit@20", 0.398),
}


@dataclass
class Measured:
    """The scores of all methods on one shop, users of all seeds together.

    scores : by method, then metric, each user's value, shape (n_users,).
    history_sizes : events of each user before the cut, shape (n_users,).
    choices : the algorithm served, for each seed.
    """

    shop: str
    new_only: bool
    scores: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    history_sizes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    choices: list[str] = field(default_factory=list)

    def add(
        self, scores: Mapping[str, Mapping[str, NDArray[np.float64]]], sizes: NDArray[np.int64], choice: str
    ) -> None:
        """Add the users of one seed. A method that is missing for one of the seeds is left out."""
        if self.choices:
            scores = {
                name: {metric: np.concatenate((self.scores[name][metric], values[metric])) for metric in values}
                for name, values in scores.items()
                if name in self.scores
            }
        self.scores = {name: dict(values) for name, values in scores.items()}
        self.history_sizes = np.concatenate((self.history_sizes, sizes))
        self.choices.append(choice)

    def mean(self, name: str, metric: str) -> float:
        """Return the mean over users."""
        return float(self.scores[name][metric].mean())

    def lead(self, name: str, metric: str = "ndcg@20") -> tuple[float, float, float]:
        """Return the mean of what is served less that of a method, user by user, and its 95 % bootstrap interval."""
        difference = self.scores[SERVED][metric] - self.scores[name][metric]
        return float(difference.mean()), *bootstrap_interval(difference)

    def by_history(self) -> list[dict[str, Any]]:
        """Return NDCG@20 of each method by the length of users' histories."""
        return by_history(self.history_sizes, {name: values["ndcg@20"] for name, values in self.scores.items()})

    def as_json(self) -> dict[str, Any]:
        """Return the figures of all tables."""
        return {
            "shop": self.shop,
            "new_only": self.new_only,
            "users": len(self.history_sizes),
            "choices": self.choices,
            "methods": {
                name: {metric: self.mean(name, metric) for metric in METRICS} | {"lead": self.lead(name)}
                for name in self.scores
            },
            "by_history": self.by_history(),
        }


def measure(case: Case, measured: Measured, *, budget_s: float, peers: Sequence[str]) -> None:
    """Add the scores of the served path, its baselines, the oracle and each peer on one shop."""
    new_only = measured.new_only
    split = case.split(new_only=new_only)
    leave_last = case.days is None
    evaluation = evaluate(
        split,
        case.catalog,
        time_budget_s=budget_s,
        holdout_days=case.days,
        leave_last=leave_last,
        clock=time.process_time,
    )
    results = {result.name: dict(result.user_scores) for result in evaluation.results}
    scores = {name: results[name] for name in (SERVED, MOST_POPULAR, RECENTLY_POPULAR)}
    if evaluation.best_single_model is not None:
        scores[BEST_SINGLE] = results[evaluation.best_single_model]
    relevant = split.relevant[split.users]
    if case.oracle is not None:
        scores[ORACLE] = score_users(answer_by_oracle(case, split), relevant)
    inner = split_for_tuning(split.train, new_only=new_only, holdout_days=case.days, leave_last=leave_last)[0][0]
    for name in peers:
        try:
            answers, _description = best_answers(name, split, inner, processor_budget_s=budget_s)
        except (ValueError, ImportError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        scores[name] = score_users(answers, relevant)
    sizes = np.bincount(split.train.users, minlength=len(split.train.user_ids))[split.users]
    measured.add(scores, sizes, evaluation.choice.algorithm)


def answer_by_oracle(case: Case, split: Split) -> NDArray[np.int64]:
    """Return the best possible answers: by the probability, known of generated shops, that a user turns to a product.

    With planted transitions, a user goes on from their last product as often as users do on average.
    """
    assert case.oracle is not None
    scores = case.oracle[split.users]
    rows = np.arange(len(scores))
    if (planted := case.planted) is not None:
        train = split.train
        order = np.argsort(train.times, kind="stable")
        last = np.zeros(len(train.user_ids), np.int64)
        # of a user's events, the latest is written last
        last[train.users[order]] = train.items[order]
        scores = (1 - planted.follow) * scores
        np.add.at(scores, (rows[:, None], planted.successors[last[split.users]]), planted.follow * planted.shares)
    if split.new_only:
        known = matrix_of(split, binary=True)[split.users]
        scores[np.repeat(rows, np.diff(known.indptr)), known.indices] = -1
    scores[:, ~split.known_items] = -1
    # ties are broken at random, the same way each time
    return np.argsort(-scores * (1 + 1e-9 * np.random.default_rng(0).random(scores.shape)), axis=1)[:, :K]


def cases(names: Sequence[str], folder: Path | None, seeds: Sequence[int]) -> Iterator[tuple[str, list[Case]]]:
    """Yield each shop by name, generated shops once per seed. Real shops without files are skipped."""
    for name in names:
        if name in SYNTHETIC_SHOPS:
            yield name, [synthetic_case(name, seed) for seed in seeds]
        elif folder is not None and (folder / name / "events.parquet").is_file():
            yield name, [real_case(name, folder)]
        else:
            print(f"{name}: no files; give --data", file=sys.stderr)


def run(
    names: Sequence[str],
    folder: Path | None,
    *,
    budget_s: float,
    seeds: Sequence[int] = SEEDS,
    peers: Sequence[str] = tuple(PEERS),
    modes: Sequence[bool] = (True, False),
    say: Callable[[str], None] = lambda _line: None,
) -> list[Measured]:
    """Return what was measured of each shop, for new products only and for all (``modes``)."""
    runs = []
    for name, shops in cases(names, folder, seeds):
        for new_only in modes:
            measured = Measured(name, new_only)
            try:
                for case in shops:
                    measure(case, measured, budget_s=budget_s, peers=peers)
            except NothingToMeasure as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            runs.append(measured)
            for method in measured.scores:
                say(
                    f"{name} {'new' if new_only else 'repeats'} {method}: NDCG@20 "
                    f"{measured.mean(method, 'ndcg@20'):.4f}, hit@20 {measured.mean(method, 'hit@20'):.4f}"
                )
    return runs


def _task(measured: Measured) -> str:
    return "new products" if measured.new_only else "all, repeats included"


def table(runs: Sequence[Measured]) -> str:
    """Return every method's metrics as a Markdown table, with how far what is served is ahead of it."""
    lines = [
        "| shop | relevant | | NDCG@20 | recall@20 | hit@20 | MRR@20 | served is ahead by (95 % interval) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for measured in runs:
        for name in measured.scores:
            cells = [f"{measured.mean(name, metric):.4f}" for metric in METRICS]
            mean, low, high = measured.lead(name)
            lead = "" if name == SERVED else f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
            lines.append(f"| {measured.shop} | {_task(measured)} | {name} | {' | '.join(cells)} | {lead} |")
    return "\n".join(lines)


def history_table(runs: Sequence[Measured]) -> str:
    """Return NDCG@20 by the length of users' histories as a Markdown table for each shop and task."""
    parts = []
    for measured in runs:
        groups = measured.by_history()
        head = [f"{history_label(group)} ({group['users']})" for group in groups]
        lines = [f"| {measured.shop}, {_task(measured)} | {' | '.join(head)} |", "|---" * (1 + len(groups)) + "|"]
        lines += [f"| {name} | {' | '.join(f'{group[name]:.4f}' for group in groups)} |" for name in measured.scores]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def row_of(figures: Mapping[str, Any]) -> Row:
    """Return what was served on a shop beside its target and the best peer, from ``Measured.as_json``."""
    metric, target = TARGETS.get((figures["shop"], figures["new_only"]), ("ndcg@20", None))
    methods: Mapping[str, Any] = figures["methods"]
    notes = []
    if peers := [name for name in PEERS if name in methods]:
        peer = max(peers, key=lambda name: float(methods[name]["ndcg@20"]))
        notes.append(f"best peer ({peer}) {methods[peer][metric]:.3f}")
    if ORACLE in methods:
        notes.append(f"{ORACLE} {methods[ORACLE][metric]:.3f}")
    name = f"quality, {figures['shop']}, {'new' if figures['new_only'] else 'repeats'}"
    return Row(name, methods[SERVED][metric], metric, target, note="; ".join(notes))


def data_folder() -> Path | None:
    folder = os.environ.get("AISLE_QUALITY_DATA")
    return Path(folder) if folder else None


def rows(_bench: Bench) -> list[Row]:
    """Return the served figures beside their targets, for ``./aisle bench``."""
    shops = (*REAL_SHOPS, "synthetic", "visits")
    return [row_of(measured.as_json()) for measured in run(shops, data_folder(), budget_s=README_BUDGET_S, peers=())]


def readme_rows(bench: Bench) -> list[Row]:
    """Return the served figures that README shows, beside the best peer.

    All methods run in the Python of AISLE_PEERS_PYTHON, which has the peers' libraries, with one budget of processor
    seconds. Raises RuntimeError as ``check_set_up``, and if a peer failed: the best of the others may not be the best.
    """
    folder, python = check_set_up()
    with tempfile.TemporaryDirectory() as results:
        path = Path(results) / "figures.json"
        command = [python, "-m", "benchmarks.quality", *README_SHOPS, "--new-only", "--data", str(folder)]
        bench.say(f"quality: {' '.join(README_SHOPS)}, {README_BUDGET_S:.0f} processor seconds for each method")
        subprocess.run(
            [*command, "--budget", str(README_BUDGET_S), "--json", str(path)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        runs = json.loads(path.read_text())
    check_complete(runs)
    return [row_of(figures) for figures in runs]


def check_set_up() -> tuple[Path, str]:
    """Return the folder of the real shops and the Python of the peers. Raises RuntimeError if either is wrong."""
    folder, python = data_folder(), os.environ.get("AISLE_PEERS_PYTHON", sys.executable)
    missing = [name for name in README_SHOPS if folder is None or not (folder / name / "events.parquet").is_file()]
    if folder is None or missing:
        raise RuntimeError(f"AISLE_QUALITY_DATA must name a folder with the shops {', '.join(missing)}.")
    program = "import implicit.als, similaripy, jobs.tuning.selection"
    if subprocess.run([python, "-c", program], cwd=ROOT, capture_output=True, check=False).returncode:
        raise RuntimeError(
            "AISLE_PEERS_PYTHON must name a Python with the packages of dev-requirements.txt and "
            "benchmarks/requirements.txt."
        )
    return folder, python


def check_complete(runs: Sequence[Mapping[str, Any]]) -> None:
    """Raise RuntimeError if a peer was not measured."""
    for figures in runs:
        if absent := [name for name in PEERS if name not in figures["methods"]]:
            raise RuntimeError(f"{figures['shop']}: {', '.join(absent)} failed; standard error has the reason.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named shops, all if none is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOPS))
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument(
        "--budget", type=float, default=120.0, metavar="SECONDS", help="processor time for each method to tune"
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="number of seeds of each generated shop")
    parser.add_argument("--peers", default=",".join(PEERS), help="names, separated by commas; empty for none")
    parser.add_argument("--new-only", action="store_true", help="leave out the task with repeats")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    runs = run(
        options.names or SHOPS,
        options.data,
        budget_s=options.budget,
        seeds=SEEDS[: options.seeds],
        peers=[name for name in options.peers.split(",") if name],
        modes=(True,) if options.new_only else (True, False),
        say=say,
    )
    print(table(runs), history_table(runs), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps([measured.as_json() for measured in runs], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
