"""Evaluates what would be served, every tuned algorithm and popularity on days that no model learnt from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array, Int64Array, IntArray
from jobs.models.errors import Unsuitable
from jobs.models.pairs import numba_installed
from jobs.offline.baselines import RECENT_HALF_LIFE_DAYS, count_users, recommend_popular
from jobs.offline.metrics import CUTOFFS, beyond_accuracy, bootstrap_interval, score_users
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import Split
from jobs.tuning.budget import Clock
from jobs.tuning.choice import Choice
from jobs.tuning.fitting import MIXTURE, fit
from jobs.tuning.selection import choose_model, compiling_pays
from jobs.tuning.trial import Trial
from shared.domain.formula import Formula

K: Final = CUTOFFS[-1]
# Reports show quality by the number of events in the user's history, in groups that begin at these numbers.
HISTORY_SIZES: Final = (1, 2, 3, 5, 20, 100)
MOST_POPULAR: Final = "most popular"
RECENTLY_POPULAR: Final = "recently popular"
# From this many answers, for all methods together, compiling pays off.
COMPILED_FROM_ANSWERS: Final = 20_000


@dataclass(frozen=True)
class MethodResult:
    """The quality of one method of recommendation.

    user_scores : for each metric (such as ``ndcg@20``), each user's value, shape (n_users,).
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
    """The results of all methods on a split, that of the served one first, and how that one was chosen."""

    split: Split
    results: list[MethodResult]
    choice: Choice

    @property
    def best_single_model(self) -> str | None:
        """The algorithm that was best on the tuning days of those measured, mixtures aside; None if there is none."""
        measured = {result.name for result in self.results}
        ranked = (trial["algorithm"] for trial in self.choice.trials)
        return next((name for name in ranked if name != MIXTURE and name in measured), None)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``training_runs`` stores and the report shows."""
        train = self.split.train
        history_sizes = np.bincount(train.users, minlength=len(train.user_ids))[self.split.users]
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
            "by_history": by_history(
                history_sizes, {result.name: result.user_scores[f"ndcg@{K}"] for result in self.results}
            ),
            "best_single_model": self.best_single_model,
            "choice": {
                "algorithm": self.choice.algorithm,
                "parameters": self.choice.model_parameters(),
                **self.choice.metrics(),
            },
        }


def by_history(sizes: IntArray, scores: Mapping[str, Float64Array]) -> list[dict[str, Any]]:
    """Return the mean of each method's scores in each group of HISTORY_SIZES that has users.

    sizes : events in each user's history, at least 1, shape (n_users,).
    scores : for each method, shape (n_users,).

    In the results, ``to`` is the greatest size of the group; None for the last group.
    """
    groups = np.searchsorted(HISTORY_SIZES, sizes, side="right") - 1
    return [
        {
            "from": size,
            "to": HISTORY_SIZES[group + 1] - 1 if group + 1 < len(HISTORY_SIZES) else None,
            "users": int((groups == group).sum()),
            **{name: round(float(values[groups == group].mean()), 5) for name, values in scores.items()},
        }
        for group, size in enumerate(HISTORY_SIZES)
        if (groups == group).any()
    ]


def evaluate(
    split: Split,
    catalog: Catalog,
    *,
    time_budget_s: float,
    holdout_days: float | None = None,
    leave_last: bool = False,
    seed: int = 0,
    report: Callable[[Trial], None] = lambda _: None,
    clock: Clock | None = None,
) -> Evaluation:
    """Choose a model on the events before the cut; measure it, every trial and the popular products on those after it.

    No model, tuning or trend uses an event after the cut.

    Parameters
    ----------
    catalog : in the split's codes.
    holdout_days, leave_last : the kind of split to tune on, which should be that of ``split``: ``split_for_tuning``.
    clock : see ``choose_model``.

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
        measure(MOST_POPULAR, recommend_popular(snapshot, new_only=split.new_only)),
        measure(
            RECENTLY_POPULAR,
            recommend_popular(snapshot, new_only=split.new_only, half_life_days=RECENT_HALF_LIFE_DAYS),
        ),
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
