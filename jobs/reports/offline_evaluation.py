"""Evaluates what would be served, every tuned algorithm and plain popularity on days that no model learnt from."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array, Int64Array, IntArray
from jobs.models.errors import Unsuitable
from jobs.models.pairs import numba_installed
from jobs.offline.metrics import CUTOFFS, beyond_accuracy, bootstrap_interval, score_users
from jobs.offline.recommender import NOT_FILLED, OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import RELEVANT_WEIGHT, Split
from jobs.tuning.fitting import fit
from jobs.tuning.selection import Choice, choose_model, compiling_pays
from jobs.tuning.trial import Clock, Trial
from shared.domain.formula import Formula

K: Final = CUTOFFS[-1]
# The report shows quality by events in the user's history, in groups that begin at these numbers.
HISTORY_SIZES: Final = (1, 5, 20, 50, 100)
# Answers, of all methods together, that take as long uncompiled as compiling does.
COMPILED_FROM_ANSWERS: Final = 20_000


@dataclass(frozen=True)
class MethodResult:
    """The quality of one method of recommending.

    user_scores : by metric (such as ``ndcg@20``), each user's value, shape (n_users,).
    overall : coverage, novelty and diversity.
    """

    name: str
    user_scores: Mapping[str, Float64Array]
    overall: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return the means, with their 95 % confidence intervals, and the overall metrics."""
        metrics = {}
        for name, values in self.user_scores.items():
            low, high = bootstrap_interval(values)
            metrics[name] = {"mean": round(float(values.mean()), 5), "low": round(low, 5), "high": round(high, 5)}
        return {"name": self.name, **metrics, **{name: round(value, 5) for name, value in self.overall.items()}}


@dataclass(frozen=True)
class Evaluation:
    """The results of all methods on a split, that of the served one first, and how it was chosen."""

    split: Split
    results: list[MethodResult]
    choice: Choice

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``training_runs`` stores and the report shows."""
        train = self.split.train
        history_sizes = np.bincount(train.users, minlength=len(train.user_ids))[self.split.users]
        groups = np.searchsorted(HISTORY_SIZES, history_sizes, side="right") - 1
        return {
            "mode": "new-only" if self.split.new_only else "repeats",
            "cut": str(self.split.now.astype("datetime64[s]")),
            "users": len(self.split.users),
            "pairs": int(self.split.relevant.nnz),
            "train": {
                "events": len(train),
                "users": len(np.unique(train.users)),
                "products": int(self.split.known_items.sum()),
            },
            "served": self.results[0].as_json(),
            "results": [result.as_json() for result in self.results],
            "by_history": [
                {
                    "from": size,
                    "users": int((groups == group).sum()),
                    **{
                        result.name: round(float(result.user_scores[f"ndcg@{K}"][groups == group].mean()), 5)
                        for result in self.results
                    },
                }
                for group, size in enumerate(HISTORY_SIZES)
                if (groups == group).any()
            ],
            "choice": {
                "algorithm": self.choice.algorithm,
                "parameters": self.choice.model_parameters(),
                **self.choice.metrics(),
            },
        }


def recommend_popular(snapshot: Snapshot, *, new_only: bool) -> Int64Array:
    """Return the products that most users have added to the cart or bought, shape (n_rows, k), padded with −1.

    All events count where there are no such ones. ``new_only`` leaves out what a user has met.
    """
    history = snapshot.history
    is_relevant = history.weights >= RELEVANT_WEIGHT
    counted = is_relevant if is_relevant.any() else np.ones(len(history), np.bool_)
    user_counts = count_users(history.users[counted], history.items[counted], snapshot.n_items) * snapshot.active
    order = np.argsort(-user_counts, kind="stable")
    order = order[user_counts[order] > 0]
    excluded = snapshot.excluded("seen" if new_only else "nothing")
    answers = np.full((len(snapshot.users), K), NOT_FILLED, np.int64)
    for row in range(len(snapshot.users)):
        hidden = excluded.indices[excluded.indptr[row] : excluded.indptr[row + 1]]
        popular = order[: K + len(hidden)]
        popular = popular[~np.isin(popular, hidden)][:K]
        answers[row, : len(popular)] = popular
    return answers


def count_users(users: IntArray, items: IntArray, n_items: int) -> Int64Array:
    """Return the number of users of each item, shape (n_items,), from parallel codes of users and items."""
    pairs = np.unique(users.astype(np.int64) * n_items + items)
    return np.bincount(pairs % n_items, minlength=n_items)


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
    """Choose a model on the events before the cut; measure it, every trial and popularity on those after it.

    No model, no tuning and no trend sees an event after the cut.

    Parameters
    ----------
    catalog : in the split's codes.
    holdout_days, leave_last : make the splits to tune on like this split; see ``split_for_tuning``.

    Raises NothingToMeasure.
    """
    choice = choose_model(
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
    snapshot = Snapshot(split.train, split.now, split.users, split.known_items, catalog)
    n_answers = len(split.users) * (1 + len(choice.trials))
    compiled = compiling_pays(time_budget_s) or (numba_installed() and n_answers >= COMPILED_FROM_ANSWERS)
    recommender = OfflineRecommender(snapshot, K, compiled=compiled)
    relevant = split.relevant[split.users]
    popularity = count_users(split.train.users, split.train.items, snapshot.n_items) / max(
        1, len(np.unique(split.train.users))
    )

    def measure(name: str, answers: Int64Array) -> MethodResult:
        overall = beyond_accuracy(answers, split.known_items, popularity, catalog.categories)
        return MethodResult(name, score_users(answers, relevant), overall)

    results = [
        measure("served", recommender.recommend(choice.neighbours, choice.formula)),
        measure("most popular", recommend_popular(snapshot, new_only=split.new_only)),
    ]
    for trial in choice.trials:
        if trial["ndcg@20"] is None:
            continue
        algorithm, parameters, weighting = trial["algorithm"], trial["parameters"], Weighting(**trial["weighting"])
        try:
            neighbours = fit(split.train, split.now, algorithm, parameters, weighting)
        except Unsuitable:
            continue
        formula = Formula.from_parameters(trial["serving"]).in_scores_of(neighbours.mean_score)
        results.append(measure(algorithm, recommender.recommend(neighbours, formula)))
    return Evaluation(split, results, choice)
