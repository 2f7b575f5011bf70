"""The offline quality report: what is served, every candidate and plain popularity, on days nobody learnt from."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.offline.metrics import AT, beyond_accuracy, interval, per_user
from jobs.offline.recommender import Server
from jobs.offline.snapshot import Past
from jobs.offline.split import RELEVANT_WEIGHT, Split
from jobs.tuning.fitting import fit
from jobs.tuning.selection import Choice, choose
from jobs.tuning.trial import Clock, Trial
from shared.domain.formula import Formula

K: Final = AT[-1]
# sizes of a user's history at which quality is told apart
HISTORY_SIZES: Final = (1, 5, 20, 50, 100)

Answers = NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """How one way of recommending did.

    per_user : by metric (``ndcg@20``), each user's value, shape (n_users,); overall : coverage, novelty, diversity.
    """

    name: str
    per_user: Mapping[str, NDArray[np.float64]]
    overall: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return means, with the 95 % confidence intervals of the means."""
        metrics = {}
        for name, values in self.per_user.items():
            low, high = interval(values)
            metrics[name] = {"mean": round(float(values.mean()), 5), "low": round(low, 5), "high": round(high, 5)}
        return {"name": self.name, **metrics, **{name: round(value, 5) for name, value in self.overall.items()}}


@dataclass(frozen=True)
class Evaluation:
    """The lines, the served one first, and how it was chosen."""

    split: Split
    lines: list[Line]
    choice: Choice

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON: what ``training_runs`` keeps and the report is drawn from."""
        sizes = np.bincount(self.split.train.users, minlength=len(self.split.train.user_ids))[self.split.users]
        bins = np.searchsorted(HISTORY_SIZES, sizes, side="right") - 1
        return {
            "mode": "new-only" if self.split.new_only else "repeats",
            "cut": str(self.split.now.astype("datetime64[s]")),
            "users": len(self.split.users),
            "pairs": int(self.split.relevant.nnz),
            "train": {
                "events": len(self.split.train),
                "users": len(np.unique(self.split.train.users)),
                "products": int(self.split.known_items.sum()),
            },
            "served": self.lines[0].as_json(),
            "results": [line.as_json() for line in self.lines],
            "by_history": [
                {
                    "from": size,
                    "users": int((bins == place).sum()),
                    **{
                        line.name: round(float(line.per_user[f"ndcg@{K}"][bins == place].mean()), 5)
                        for line in self.lines
                    },
                }
                for place, size in enumerate(HISTORY_SIZES)
                if (bins == place).any()
            ],
            "choice": {
                "algorithm": self.choice.algorithm,
                "parameters": self.choice.model_parameters(),
                **self.choice.metrics(),
            },
        }


def most_popular(past: Past, *, new_only: bool) -> Answers:
    """Return what most users put into the cart or bought (where none did: have met).

    Shape (n_rows, k), best first, padded with -1.
    ``new_only`` leaves out what a user has met.
    """
    history = past.history
    bought = history.weights >= RELEVANT_WEIGHT
    chosen = bought if bought.any() else np.ones(len(history), np.bool_)
    pairs = np.unique(history.users[chosen].astype(np.int64) * past.n_items + history.items[chosen])
    counts = np.bincount(pairs % past.n_items, minlength=past.n_items) * past.active
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    excluded = past.excluded("unseen" if new_only else "all")
    answers = np.full((len(past.users), K), -1, np.int64)
    for row in range(len(past.users)):
        mine = excluded.indices[excluded.indptr[row] : excluded.indptr[row + 1]]
        shown = order[: K + len(mine)]
        shown = shown[~np.isin(shown, mine)][:K]
        answers[row, : len(shown)] = shown
    return answers


def evaluate(
    split: Split,
    catalog: Catalog,
    *,
    time_budget_s: float,
    holdout_days: float | None = None,
    leave_last: bool = False,
    seed: int = 0,
    report: Callable[[Trial], None] = lambda _: None,
    clock: Clock = time.perf_counter,
) -> Evaluation:
    """Choose on what came before the cut, and measure the choice, every candidate and popularity on what came after.

    Nothing after the cut is seen by any model, by the tuning or by what is trending. ``catalog`` is in the split's
    codes. ``holdout_days`` and ``leave_last`` : tune on splits like this one. Raises NothingToMeasure.
    """
    choice = choose(
        split.train,
        catalog,
        time_budget_s=time_budget_s,
        new_only=split.new_only,
        now=split.now,
        holdout_days=holdout_days,
        leave_last=leave_last,
        seed=seed,
        report=report,
        clock=clock,
    )
    past = Past(split.train, split.now, split.users, split.known_items, catalog)
    server = Server(past, K)
    relevant = split.relevant[split.users]
    owners = len(np.unique(split.train.users))
    pairs = np.unique(split.train.users.astype(np.int64) * past.n_items + split.train.items)
    popularity = np.bincount(pairs % past.n_items, minlength=past.n_items) / max(1, owners)

    def line(name: str, answers: Answers) -> Line:
        return Line(
            name,
            per_user(answers, relevant),
            beyond_accuracy(answers, split.known_items, popularity, catalog.categories),
        )

    def served(neighbours: Neighbours, formula: Formula) -> Answers:
        return server.recommend(neighbours, formula)

    lines = [line("served", served(choice.neighbours, choice.formula))]
    lines.append(line("most popular", most_popular(past, new_only=split.new_only)))
    for one in choice.candidates:
        if one["ndcg@20"] is None:
            continue
        formula = Formula(**one["serving"])
        try:
            found = fit(split.train, split.now, one["algorithm"], one["parameters"], Weighting(**one["weighting"]))
        except Unsuitable:
            continue
        lines.append(line(one["algorithm"], served(found, formula.in_scores_of(found.mean_score))))
    return Evaluation(split, lines, choice)
