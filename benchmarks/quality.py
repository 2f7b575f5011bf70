"""Quality beside tuned peers: ``python -m benchmarks.quality --data DIR [--budget SECONDS] [NAME …]``.

DIR holds a folder for each real shop with events.parquet and items.parquet, in the columns of ``./aisle evaluate``;
the others are made (benchmarks/shops.py). Everyone tunes on the same inner split with the same time.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import Bench, Row
from benchmarks.peers import PEERS, K, best_answers, matrix_of
from benchmarks.shops import MADE, Case, made
from jobs.data.files import histories, read_catalog, read_events
from jobs.offline.metrics import per_user, summary
from jobs.offline.split import Split, last_days
from jobs.reports.offline_evaluation import evaluate
from jobs.tuning.selection import inner_splits

ORACLE: Final = "knowing every taste"
SEEDS: Final = (1, 2, 3, 4, 5)
REAL: Final = ("online_retail", "complete_journey")
SHOPS: Final = (*REAL, *MADE)


TARGETS: Final = {
    ("online_retail", True): ("ndcg@20", 0.115),
    ("online_retail", False): ("ndcg@20", 0.29),
    ("synthetic", True): ("hit@20", 0.37),
}


def real(name: str, folder: Path) -> Case:
    """Return a shop read from its files."""
    (history,), item_names = histories(read_events(str(folder / name / "events.parquet")))
    return Case(name, history, read_catalog(str(folder / name / "items.parquet"), item_names).catalog, 30)


def measure(case: Case, *, new_only: bool, budget_s: float, peers: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return metrics of the served path and of each peer."""
    split = last_days(case.history, case.days, new_only=new_only)
    found = evaluate(split, case.catalog, time_budget_s=budget_s, holdout_days=case.days)
    results = {"served": summary(found.lines[0].per_user)}
    relevant = split.relevant[split.users]
    if case.oracle is not None:
        results[ORACLE] = summary(per_user(knowing(case.oracle, split), relevant))
    inner = inner_splits(split.train, new_only=new_only, holdout_days=case.days)[0][0]
    for name in peers:
        try:
            given, _told = best_answers(name, split, inner, time_budget_s=budget_s)
        except (ValueError, ImportError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        results[name] = summary(per_user(given, relevant))
    return results


def knowing(oracle: NDArray[np.float64], split: Split) -> NDArray[np.int64]:
    """Return the answers of who knows how likely each user is to turn to each product: what could be had."""
    scores = oracle[split.users]
    if split.new_only:
        met = matrix_of(split, binary=True)[split.users]
        scores[np.repeat(np.arange(len(scores)), np.diff(met.indptr)), met.indices] = -1
    scores[:, ~split.known_items] = -1
    # equals in any order, the same each time
    return np.argsort(-scores * (1 + 1e-9 * np.random.default_rng(0).random(scores.shape)), axis=1)[:, :K]


def cases(names: Sequence[str], folder: Path | None, seeds: Sequence[int]) -> Iterator[tuple[str, list[Case]]]:
    """Yield each shop by name; made ones once for each seed. Real shops without files are skipped."""
    for name in names:
        if name in MADE:
            yield name, [made(name, seed) for seed in seeds]
        elif folder is not None and (folder / name / "events.parquet").is_file():
            yield name, [real(name, folder)]
        else:
            print(f"{name}: no files; give --data", file=sys.stderr)


def run(
    names: Sequence[str],
    folder: Path | None,
    *,
    budget_s: float,
    seeds: Sequence[int] = SEEDS,
    peers: Sequence[str] = tuple(PEERS),
    say: Callable[[str], None] = lambda _line: None,
) -> list[dict[str, Any]]:
    """Return ``{shop, mode, name, metrics}`` of everybody; over seeds the mean."""
    told = []
    for name, shops in cases(names, folder, seeds):
        for new_only in (True, False):
            runs = [measure(one, new_only=new_only, budget_s=budget_s, peers=peers) for one in shops]
            for who in runs[0]:
                metrics = {
                    metric: float(np.mean([one[who][metric] for one in runs if who in one])) for metric in runs[0][who]
                }
                told.append({"shop": name, "new_only": new_only, "name": who, "metrics": metrics})
                say(
                    f"{name} {'new' if new_only else 'repeats'} {who}: NDCG@20 {metrics['ndcg@20']:.4f}, "
                    f"hit@20 {metrics['hit@20']:.4f}"
                )
    return told


def table(told: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table."""
    lines = ["| shop | asked for | | NDCG@20 | recall@20 | hit@20 | MRR@20 |", "|---|---|---|---|---|---|---|"]
    for one in told:
        cells = [f"{one['metrics'][name]:.4f}" for name in ("ndcg@20", "recall@20", "hit@20", "mrr@20")]
        mode = "new products" if one["new_only"] else "all, repeats included"
        lines.append(f"| {one['shop']} | {mode} | {one['name']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rows(_bench: Bench) -> list[Row]:
    """Return the served figures beside their targets, for ``./aisle bench``."""
    folder = os.environ.get("AISLE_QUALITY_DATA")
    told = run((*REAL, "synthetic"), Path(folder) if folder else None, budget_s=60, peers=())
    found = []
    could = {(one["shop"], one["new_only"]): one["metrics"] for one in told if one["name"] == ORACLE}
    for one in told:
        if one["name"] == ORACLE:
            continue
        metric, target = TARGETS.get((one["shop"], one["new_only"]), ("ndcg@20", None))
        mode = "new" if one["new_only"] else "repeats"
        best = could.get((one["shop"], one["new_only"]))
        note = "" if best is None else f"{ORACLE}: {best[metric]:.4f}"
        found.append(Row(f"quality, {one['shop']}, {mode}", one["metrics"][metric], metric, target, note=note))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named shops (all: none named)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOPS))
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--budget", type=float, default=120.0, metavar="SECONDS", help="for each to tune")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="of each made shop")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, separated by commas; empty: none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    peers = [one for one in options.peers.split(",") if one]
    told = run(
        options.names or SHOPS,
        options.data,
        budget_s=options.budget,
        seeds=SEEDS[: options.seeds],
        peers=peers,
        say=say,
    )
    print(table(told))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
