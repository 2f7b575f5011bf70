"""Quality beside tuned peers: ``python -m benchmarks.quality --data DIR [--budget SECONDS] [NAME …]``.

DIR holds a folder for each real shop with events.parquet and items.parquet, in the columns of ``./aisle evaluate``;
the other shops are made (benchmarks/shops.py). All methods tune on the same inner split with the same time.
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
from benchmarks.shops import SYNTHETIC_SHOPS, Case, synthetic_case
from jobs.data.files import histories, read_catalog, read_events
from jobs.offline.metrics import mean_scores, score_users
from jobs.offline.split import Split, split_last_days
from jobs.reports.offline_evaluation import evaluate
from jobs.tuning.selection import split_for_tuning

ORACLE: Final = "knowing every taste"
SEEDS: Final = (1, 2, 3, 4, 5)
REAL: Final = ("online_retail", "complete_journey")
SHOPS: Final = (*REAL, *SYNTHETIC_SHOPS)


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
    split = split_last_days(case.history, case.days, new_only=new_only)
    evaluation = evaluate(split, case.catalog, time_budget_s=budget_s, holdout_days=case.days)
    results = {"served": mean_scores(evaluation.results[0].user_scores)}
    relevant = split.relevant[split.users]
    if case.oracle is not None:
        results[ORACLE] = mean_scores(score_users(answer_by_oracle(case.oracle, split), relevant))
    inner = split_for_tuning(split.train, new_only=new_only, holdout_days=case.days)[0][0]
    for name in peers:
        try:
            answers, _description = best_answers(name, split, inner, time_budget_s=budget_s)
        except (ValueError, ImportError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        results[name] = mean_scores(score_users(answers, relevant))
    return results


def answer_by_oracle(oracle: NDArray[np.float64], split: Split) -> NDArray[np.int64]:
    """Return the best possible answers: by the probability, known of made shops, that a user turns to a product."""
    scores = oracle[split.users]
    if split.new_only:
        known = matrix_of(split, binary=True)[split.users]
        scores[np.repeat(np.arange(len(scores)), np.diff(known.indptr)), known.indices] = -1
    scores[:, ~split.known_items] = -1
    # ties are broken at random, the same way each time
    return np.argsort(-scores * (1 + 1e-9 * np.random.default_rng(0).random(scores.shape)), axis=1)[:, :K]


def cases(names: Sequence[str], folder: Path | None, seeds: Sequence[int]) -> Iterator[tuple[str, list[Case]]]:
    """Yield each shop by name, made shops once per seed. Real shops without files are skipped."""
    for name in names:
        if name in SYNTHETIC_SHOPS:
            yield name, [synthetic_case(name, seed) for seed in seeds]
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
    """Return ``{shop, new_only, name, metrics}`` of each method; metrics are means over seeds."""
    measured = []
    for name, shops in cases(names, folder, seeds):
        for new_only in (True, False):
            runs = [measure(case, new_only=new_only, budget_s=budget_s, peers=peers) for case in shops]
            for method in runs[0]:
                metrics = {
                    metric: float(np.mean([results[method][metric] for results in runs if method in results]))
                    for metric in runs[0][method]
                }
                measured.append({"shop": name, "new_only": new_only, "name": method, "metrics": metrics})
                say(
                    f"{name} {'new' if new_only else 'repeats'} {method}: NDCG@20 {metrics['ndcg@20']:.4f}, "
                    f"hit@20 {metrics['hit@20']:.4f}"
                )
    return measured


def table(measured: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table."""
    lines = ["| shop | relevant | | NDCG@20 | recall@20 | hit@20 | MRR@20 |", "|---|---|---|---|---|---|---|"]
    for result in measured:
        cells = [f"{result['metrics'][name]:.4f}" for name in ("ndcg@20", "recall@20", "hit@20", "mrr@20")]
        mode = "new products" if result["new_only"] else "all, repeats included"
        lines.append(f"| {result['shop']} | {mode} | {result['name']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rows(_bench: Bench) -> list[Row]:
    """Return the served figures beside their targets, for ``./aisle bench``."""
    folder = os.environ.get("AISLE_QUALITY_DATA")
    measured = run((*REAL, "synthetic"), Path(folder) if folder else None, budget_s=60, peers=())
    oracle = {
        (result["shop"], result["new_only"]): result["metrics"] for result in measured if result["name"] == ORACLE
    }
    listed = []
    for result in measured:
        if result["name"] == ORACLE:
            continue
        key = (result["shop"], result["new_only"])
        metric, target = TARGETS.get(key, ("ndcg@20", None))
        mode = "new" if result["new_only"] else "repeats"
        note = f"{ORACLE}: {oracle[key][metric]:.4f}" if key in oracle else ""
        listed.append(Row(f"quality, {result['shop']}, {mode}", result["metrics"][metric], metric, target, note=note))
    return listed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named shops, all if none is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOPS))
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--budget", type=float, default=120.0, metavar="SECONDS", help="for each method to tune")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="number of seeds of each made shop")
    parser.add_argument("--peers", default=",".join(PEERS), help="names, separated by commas; empty for none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    peers = [name for name in options.peers.split(",") if name]
    measured = run(
        options.names or SHOPS,
        options.data,
        budget_s=options.budget,
        seeds=SEEDS[: options.seeds],
        peers=peers,
        say=say,
    )
    print(table(measured))
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
