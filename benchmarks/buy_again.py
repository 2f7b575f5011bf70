"""What is bought again, beside simple rules: ``python -m benchmarks.buy_again --data DIR [NAME …]``.

DIR holds a folder for each shop with events.parquet, as for benchmarks.quality. The last WINDOWS windows of the history
are held out: what users who bought before the window buy again in it. The formula is tuned on what lies before the
first of them.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from benchmarks.frame import RUNS, Bench, Row, median
from benchmarks.load import get, load
from benchmarks.quality import data_folder
from benchmarks.shops import real_case
from jobs.data.history import History
from jobs.offline.buy_again import BuyAgainRecommender
from jobs.offline.metrics import bootstrap_interval, score_users
from jobs.offline.split import select_events
from jobs.tuning.buy_again import choose_formula, cut_windows
from shared.domain.replenishment import ReplenishmentFormula

SHOPS: Final = ("online_retail", "complete_journey")
WINDOWS: Final = 4
HORIZONS_DAYS: Final = (7.0, 14.0)
K: Final = 20
METRICS: Final = ("ndcg@20", "recall@20")
SERVED: Final = "served"
REQUESTS: Final = 200
BUYERS: Final = """
SELECT u.external_id FROM user_purchases b JOIN users u ON u.id = b.user_id GROUP BY u.id ORDER BY count(*) DESC, u.id
LIMIT :limit
"""


@dataclass(frozen=True)
class Measured:
    """One shop and horizon.

    scores : by method, then metric, one value for each user, the mean over the user's windows; shape (n_users,).
    answers : number of lists that were scored, one for each user and window.
    """

    shop: str
    horizon_days: float
    formula: ReplenishmentFormula
    tuning_s: float
    answers: int
    scores: dict[str, dict[str, NDArray[np.float64]]]

    def lead(self, method: str, metric: str) -> tuple[float, float, float]:
        """Return the mean of what is served less that of a method, user by user, and its 95 % bootstrap interval."""
        difference = self.scores[SERVED][metric] - self.scores[method][metric]
        return float(difference.mean()), *bootstrap_interval(difference)


def measure(shop: str, history: History, horizon_days: float) -> Measured:
    """Tune before the last windows, and score each method in them."""
    held_out = np.timedelta64(round(WINDOWS * horizon_days * 86_400e6), "us")
    begun = time.process_time()
    formula = choose_formula(select_events(history, history.times <= history.times.max() - held_out)).formula
    tuning_s = time.process_time() - begun
    methods: Mapping[str, Callable[[BuyAgainRecommender], NDArray[np.int64]]] = {
        SERVED: lambda recommender: recommender.recommend(formula, K),
        "untuned": lambda recommender: recommender.recommend(ReplenishmentFormula(), K),
        "most often bought": lambda recommender: recommender.most_often(K),
        "most recently bought": lambda recommender: recommender.most_recent(K),
    }
    windows = cut_windows(history, horizon_days, windows_max=WINDOWS, users_max=len(history.user_ids) * WINDOWS)
    rows = np.unique(np.concatenate([window.users for window in windows]), return_inverse=True)[1]
    scores: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name, answer in methods.items():
        by_window = [score_users(answer(window.recommender), window.relevant) for window in windows]
        scores[name] = {
            metric: np.bincount(rows, weights=np.concatenate([values[metric] for values in by_window]))
            / np.bincount(rows)
            for metric in METRICS
        }
    return Measured(shop, horizon_days, formula, tuning_s, len(rows), scores)


def table(runs: Sequence[Measured]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| shop | next days | lists | | NDCG@20 | recall@20 | served is ahead by (NDCG@20, 95 % interval) |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        for method, values in run.scores.items():
            mean, low, high = run.lead(method, "ndcg@20")
            lead = "" if method == SERVED else f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
            cells = " | ".join(f"{values[metric].mean():.4f}" for metric in METRICS)
            lines.append(f"| {run.shop} | {run.horizon_days:g} | {run.answers} | {method} | {cells} | {lead} |")
    return "\n".join(lines)


def run(names: Sequence[str], folder: Path) -> list[Measured]:
    """Return what was measured of each shop and horizon."""
    histories = {name: real_case(name, folder).history for name in names}
    return [measure(name, histories[name], days) for name in names for days in HORIZONS_DAYS]


def rows(bench: Bench) -> list[Row]:
    """Return the time of an answer, and with data of real shops the quality beside the most often bought."""
    from shared.clients.postgres import read

    buyers = [str(row[0]) for row in read(BUYERS, limit=REQUESTS)]
    p50, p95 = [], []
    with bench.serving("recommendations") as url:
        for number in range(RUNS + 1):
            order = random.Random(number).sample(buyers, len(buyers))
            measured = load(url, [get("/buy-again?" + urlencode({"user_id": user})) for user in order], connections=1)
            if measured.failures:
                raise RuntimeError(f"{measured.failures} requests failed")
            if number:
                # the first run warms up
                p50.append(measured.percentile(0.5))
                p95.append(measured.percentile(0.95))
    note = f"the {len(buyers)} users with the most products bought"
    measured_rows = [
        Row("buy again, p50", median(p50), "ms", note=note),
        Row("… p95", median(p95), "ms"),
    ]
    folder = data_folder()
    for result in run(SHOPS, folder) if folder is not None else []:
        mean, low, high = result.lead("most often bought", "ndcg@20")
        measured_rows.append(
            Row(
                f"bought again within {result.horizon_days:g} days, {result.shop}",
                float(result.scores[SERVED]["ndcg@20"].mean()),
                "ndcg@20",
                note=f"ahead of the most often bought by {mean:.3f} ({low:.3f} to {high:.3f})",
            )
        )
    return measured_rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table. Exit code 1 if the most often or most recently bought is not behind by the whole interval."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.buy_again", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOPS))
    parser.add_argument("--data", type=Path, metavar="DIR", required=True)
    options = parser.parse_args(argv)
    runs = run(options.names or SHOPS, options.data)
    print(table(runs))
    for result in runs:
        print(f"{result.shop}, {result.horizon_days:g} days, tuned in {result.tuning_s:.1f} s: {result.formula}")
    simple = ("most often bought", "most recently bought")
    return 1 if any(result.lead(name, "ndcg@20")[1] <= 0 for result in runs for name in simple) else 0


if __name__ == "__main__":
    sys.exit(main())
